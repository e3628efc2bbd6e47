package hl7

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/inventory"
)

// undeducted is why a dose is not taken off. The reason is what the sender is told, so it
// carries no value of the message but codes of published tables; the codes are those of
// exchange.UndeductedCodes.
type undeducted struct{ code, reason string }

// choose finds the lot of a site's stock that a dose came from; or says why there is none.
func (m *Messages) choose(ctx context.Context, tx exchange.Tx, d *immunization.Dose, others []immunization.Dose) (string, *undeducted, error) {
	no := func(code, format string, args ...any) (string, *undeducted, error) {
		return "", &undeducted{code, fmt.Sprintf(format, args...)}, nil
	}
	if d.Lot == "" {
		return no(exchange.NoLotNumber, "The message has no lot number (RXA-15).")
	}
	for i := range others {
		o := &others[i]
		if o.Counts() && o.Kind == immunization.Administered && o.Date == d.Date && o.Site == d.Site && o.StockID != "" && (o.CVX == d.CVX || m.related(o.CVX, d.CVX)) {
			return no(exchange.SameDay, "A dose of the same vaccine was taken off the stock for this patient and day already.")
		}
	}
	lots, err := tx.LotsNumbered(ctx, d.Site, d.Lot)
	if err != nil {
		return "", nil, err
	}
	if len(lots) == 0 {
		return no(exchange.UnknownLot, "The lot (RXA-15) is not in this site's stock.")
	}
	fits := slices.DeleteFunc(slices.Clone(lots), func(l inventory.Lot) bool { return l.CVX != d.CVX })
	if len(fits) == 0 {
		fits = slices.DeleteFunc(slices.Clone(lots), func(l inventory.Lot) bool { return !m.related(l.CVX, d.CVX) })
	}
	if len(fits) == 0 {
		return no(exchange.OtherVaccine, "The lot (RXA-15) of this site's stock is of another vaccine (CVX %s) than the message says (CVX %s).", lots[0].CVX, d.CVX)
	}
	fits = slices.DeleteFunc(fits, func(l inventory.Lot) bool { return l.Expires != "" && d.Date.String() > l.Expires })
	if len(fits) == 0 {
		return no(exchange.ExpiredLot, "The lot (RXA-15) had expired on the day of the dose.")
	}
	fits = slices.DeleteFunc(fits, func(l inventory.Lot) bool { return !funded(l.Funding, d) })
	if len(fits) == 0 {
		return no(exchange.WrongFunding, "No line of the lot (RXA-15) was bought by money that fits the patient's eligibility (OBX 64994-7: %s).", cmp.Or(d.Eligibility, "not told"))
	}
	fits = slices.DeleteFunc(fits, func(l inventory.Lot) bool { return l.DosesOnHand <= 0 })
	if len(fits) == 0 {
		return no(exchange.NoneLeft, "The lot (RXA-15) has no dose left by the books.")
	}
	slices.SortFunc(fits, func(a, b inventory.Lot) int {
		return cmp.Or(b.DosesOnHand-a.DosesOnHand, strings.Compare(a.ID, b.ID))
	})
	return fits[0].ID, nil, nil
}

// funded reports whether a dose may come from a lot bought so: a public one needs an
// eligibility for public vaccine and nothing that says it was private, and the other way
// round.
func funded(f inventory.Funding, d *immunization.Dose) bool {
	public := slices.Contains([]string{"V02", "V03", "V04", "V05", "V22", "V23", "V25"}, d.Eligibility)
	if d.Eligibility == "" && d.Funding == "" {
		return false
	}
	if f == inventory.Public {
		return public && d.Funding != "PHC70"
	}
	return !public && (d.Funding == "" || d.Funding == "PHC70")
}

// related reports whether two vaccines have a vaccine group in common.
func (m *Messages) related(a, b string) bool {
	of := m.doses.GroupsOf(b)
	return slices.ContainsFunc(m.doses.GroupsOf(a), func(g string) bool { return slices.Contains(of, g) })
}

// Deduct takes a given dose off the stock: exchange.Meaning.
func (m *Messages) Deduct(ctx context.Context, tx exchange.Tx, by auth.Principal, dose string) (code, reason string, err error) {
	var why *undeducted
	ok, err := m.doses.DrawTold(ctx, tx, by, dose, func(d *immunization.Dose, others []immunization.Dose) (lot string, err error) {
		lot, why, err = m.choose(ctx, tx, d, others)
		return lot, err
	})
	switch {
	case err != nil:
		return "", "", err
	case ok:
		return "", "", nil
	case why != nil:
		return why.code, why.reason, nil
	}
	return exchange.NoneLeft, "The lot has no dose left by the books.", nil
}
