package immunization

import (
	"context"
	"encoding/json"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/forecast/schedule"
)

// Forecast answers a patient in the JSON of the forecast command by the schedule in
// force, and keeps nothing. EFORBIDDEN when by may not see patients, EINVALID when the
// JSON is not a patient.
func (s *Service) Forecast(by auth.Principal, patient []byte, explain bool) ([]byte, error) {
	if err := by.Require(auth.ViewPatients, by.Site); err != nil {
		return nil, err
	}
	if _, err := forecast.ParseLine(patient); err != nil {
		return nil, err
	}
	return s.schedule.Engine().AppendLine(nil, patient, explain), nil
}

// ForecastOf is Forecast of somebody in the registry, on today's date. Of somebody who has
// died it says what counts, and nothing is due. It writes the view into the trail. EFORBIDDEN when the record does not open to by, ENOTFOUND.
func (s *Service) ForecastOf(ctx context.Context, by auth.Principal, id string, explain bool) ([]byte, error) {
	var out []byte
	err := s.tx(ctx, by, func(tx Tx) error {
		g, err := s.open(ctx, tx, by, id, auth.ViewPatients)
		if err != nil {
			return err
		}
		today, err := s.today(ctx, tx, by.Site)
		if err != nil {
			return err
		}
		p, err := s.Ask(ctx, tx, g, today)
		if err != nil {
			return err
		}
		line, err := lineOf(p)
		if err != nil {
			return err
		}
		out = s.schedule.Engine().AppendLine(nil, line, explain)
		subject, err := tx.Subject(ctx, g.Head)
		if err != nil {
			return err
		}
		if subject.Deceased {
			if out, err = withoutForecasts(out); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, s.entry(by, "doses.forecast", "patient/"+g.Head, "", ""))
	})
	return out, err
}

// withoutForecasts is an answer of the forecast command with nothing due.
func withoutForecasts(line []byte) ([]byte, error) {
	var in struct {
		ID    json.RawMessage `json:"id"`
		Doses json.RawMessage `json:"doses"`
	}
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EINTERNAL, "immunization.withoutForecasts", "the engine's answer")
	}
	out, err := json.Marshal(struct {
		ID        json.RawMessage `json:"id"`
		Doses     json.RawMessage `json:"doses"`
		Forecasts []struct{}      `json:"forecasts"`
	}{in.ID, in.Doses, []struct{}{}})
	return out, coldkeep.Wrap(err, coldkeep.EINTERNAL, "immunization.withoutForecasts", "the answer")
}

// lineOf writes a patient in the JSON of the forecast command.
func lineOf(p *forecast.Patient) ([]byte, error) {
	type observation struct {
		Code string        `json:"code"`
		Date coldkeep.Date `json:"date,omitzero"`
	}
	type dose struct {
		Date      coldkeep.Date `json:"date"`
		CVX       string        `json:"cvx"`
		MVX       string        `json:"mvx,omitempty"`
		LotExpiry coldkeep.Date `json:"lot_expiry,omitzero"`
		Condition bool          `json:"condition,omitempty"`
	}
	in := struct {
		ID           string        `json:"id"`
		Born         coldkeep.Date `json:"dob"`
		Gender       string        `json:"gender"`
		BirthCountry string        `json:"birth_country,omitempty"`
		Assessment   coldkeep.Date `json:"assessment_date"`
		Observations []observation `json:"observations"`
		Doses        []dose        `json:"doses"`
	}{ID: p.ID, Born: p.Born, Gender: "U", BirthCountry: p.BirthCountry, Assessment: p.Assessment}
	switch p.Gender {
	case schedule.Female:
		in.Gender = "F"
	case schedule.Male:
		in.Gender = "M"
	}
	for _, o := range p.Observations {
		in.Observations = append(in.Observations, observation{o.Code, o.Date})
	}
	for _, d := range p.Doses {
		in.Doses = append(in.Doses, dose{d.Date, d.CVX, d.MVX, d.LotExpiry, d.Condition})
	}
	b, err := json.Marshal(in)
	return b, coldkeep.Wrap(err, coldkeep.EINTERNAL, "immunization.lineOf", "patient")
}
