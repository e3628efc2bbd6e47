package vaccine_test

import (
	"slices"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

func TestBuiltin(t *testing.T) {
	c := vaccine.Builtin()
	if mmr, ok := c.CVX("3"); !ok || mmr.Name != "MMR" || mmr.Status != vaccine.Active || !slices.Equal(mmr.Groups, []string{"MMR"}) {
		t.Errorf("%+v, %v", mmr, ok)
	}
	if pediarix, ok := c.CVX("110"); !ok || len(pediarix.Groups) != 3 {
		t.Errorf("a combination is of its groups: %+v", pediarix)
	}
	if v, ok := c.CVX("01"); !ok || v.Status != vaccine.Inactive {
		t.Errorf("DTP: %+v", v)
	}
	if m, ok := c.MVX("msd"); !ok || !m.Active {
		t.Errorf("%+v", m)
	}
	if _, ok := c.CVX("9999"); ok || c.Name("9999") != "CVX 9999" {
		t.Error("an unknown code has a name")
	}
	if c.Newest() < coldkeep.NewDate(2025, 11, 1) {
		t.Errorf("newest row is of %s", c.Newest())
	}
	current := c.CurrentStatements("03")
	if len(current) == 0 || !current[0].Current || len(c.Statements("03")) <= len(current) {
		t.Errorf("%d current statements for MMR of %d", len(current), len(c.Statements("03")))
	}
	for _, s := range current {
		if len(s.Code) != 24 {
			t.Errorf("code %q of %s", s.Code, s.Name)
		}
	}
}

func TestNDC(t *testing.T) {
	c := vaccine.Builtin()
	for _, code := range []string{"00006-4681-00", "0006-4681-00", "00006468100", "0006468100"} {
		p, ok := c.NDC(code)
		if !ok || p.CVX != "03" || p.MVX != "MSD" || p.NDC != "00006-4681-00" {
			t.Errorf("%s: %+v, %v", code, p, ok)
		}
	}
	// M-M-R II's single vial, the unit of use of the box above.
	p, ok := c.NDC("0006-4681-01")
	if !ok || !p.Use || p.CVX != "03" || p.Route == "" && p.MVX == "" {
		t.Errorf("%+v, %v", p, ok)
	}
	for _, wrong := range []string{"", "123", "0006-4681", "a0006-4681-00", "000006-4681-00", "00-00-00", "99999999999"} {
		if p, ok := c.NDC(wrong); ok {
			t.Errorf("%q: %+v", wrong, p)
		}
	}
	if p, ok := c.GTIN("00349281521003"); !ok || p.NDC != "49281-0521-00" {
		t.Errorf("%+v, %v", p, ok)
	}
}

func TestSetsThatAreNotWhole(t *testing.T) {
	if _, err := vaccine.New(vaccine.Sets{}); coldkeep.ErrorCode(err) != coldkeep.EINVALID {
		t.Error(err)
	}
}
