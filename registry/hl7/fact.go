package hl7

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/hl7/guide"
	"github.com/coldkeep/coldkeep/registry/immunization"
)

// The observations (LOINC) that a record takes beside those that belong to a dose.
const (
	loincContraindication = "30945-0"
	loincFrom             = "30946-8" // of a contraindication
	loincUntil            = "30944-3"
	loincImmunity         = "59784-9" // presumed, of a disease
	loincSerology         = "75505-8" // immunity by a titre
	loincReaction         = "31044-1"
	loincIndication       = "59785-6"
)

// ourCodes is the coding system of the schedule's own observations (CDSi), by which they
// are told in answers.
const ourCodes = "99CDSI"

// ourPrecautions is that of the same codes where they are meant as precautions.
const ourPrecautions = "99CDSIP"

// fact is an observation that is true of the person, as it is to be kept.
type fact struct {
	immunization.Fact
	at guide.Observation
}

// facts gives what the observations of an order say of the person. What there is no place
// for is told.
func (m *Messages) facts(o *guide.Order) (out []fact, found []guide.Finding) {
	catalogue := m.doses.Catalogue()
	for i := range o.Observations {
		x := &o.Observations[i]
		var some []immunization.Fact
		switch x.Code {
		case loincContraindication:
			some = m.contraindications(catalogue, o, x)
		case loincImmunity, loincSerology:
			some = m.immunity(catalogue, x)
		case loincIndication:
			some = m.coded(catalogue.Conditions, immunization.Condition, x, nil)
		default:
			continue
		}
		if len(some) == 0 {
			found = append(found, guide.Finding{Severity: guide.Warning, Location: x.At, Code: guide.TableValueNotFound, AppCode: guide.NotInTable, Rule: "fact-unknown",
				Text: "The registry's schedule has nothing that this observation bears on. It was not kept."})
		}
		for _, f := range some {
			f.From, f.Until = span(o, x)
			out = append(out, fact{f, *x})
		}
	}
	return out, found
}

// system is a coding system by the schedule's name of it.
func system(s string) string {
	switch strings.ToUpper(s) {
	case "SCT", "SNM", "SNOMED", "SNOMED-CT", "SNOMED CT", "2.16.840.1.113883.6.96":
		return "SNOMED"
	}
	return strings.ToUpper(s)
}

// ours is the code of the schedule's own system among those of an observation.
func ours(x *guide.Observation, in string) string {
	switch in {
	case strings.ToUpper(x.System):
		return x.Value
	case strings.ToUpper(x.AltSystem):
		return x.AltValue
	}
	return ""
}

// coded gives the schedule's observations of a list that a coded value stands for; groups,
// when there are some, narrow them.
func (m *Messages) coded(list []forecast.CatalogueEntry, kind immunization.FactKind, x *guide.Observation, groups []string) []immunization.Fact {
	var out []immunization.Fact
	codes := m.doses.Coded(system(x.System), x.Value)
	if code := ours(x, ourCodes); code != "" {
		codes, groups = []string{code}, nil // it says exactly which
	}
	for i := range list {
		e := &list[i]
		if slices.Contains(codes, e.Code) && (groups == nil || slices.ContainsFunc(e.Groups, func(g string) bool { return slices.Contains(groups, g) })) {
			out = append(out, immunization.Fact{Kind: kind, Code: e.Code})
		}
	}
	return out
}

// contraindications reads a contraindication or precaution. One code may stand for the
// reaction to any vaccine: that of the order says to which. What the schedule does not know
// is kept in the sender's words, for people.
func (m *Messages) contraindications(c forecast.Catalogue, o *guide.Order, x *guide.Observation) []immunization.Fact {
	if s := system(x.System); s == "HL70064" || x.Value == "" && x.Text == "" {
		return nil // an eligibility code, as some send under this observation
	}
	if code := ours(x, ourPrecautions); code != "" {
		return []immunization.Fact{{Kind: immunization.Precaution, Code: code}}
	}
	var groups []string
	if o.Kind != guide.Nothing && o.CVX != "" {
		groups = m.doses.GroupsOf(o.CVX)
	}
	some := m.coded(c.Contraindications, immunization.Contraindication, x, groups)
	if len(some) == 1 || len(some) > 1 && groups != nil {
		return some
	}
	return []immunization.Fact{{Kind: immunization.Precaution, Title: first(cmp.Or(strings.TrimSpace(x.Text), x.Value+" "+x.System), 300)}}
}

// immuneTo is the word by which the schedule names the disease of an observation; "" for none.
func immuneTo(x *guide.Observation) string {
	if system(x.System) == "SNOMED" {
		for _, d := range slices.Concat(diseases, titres) {
			if d.code == x.Value {
				return d.word
			}
		}
	}
	return ""
}

// immunity reads evidence of immunity, by the disease or by a titre.
func (m *Messages) immunity(c forecast.Catalogue, x *guide.Observation) []immunization.Fact {
	some := m.coded(c.Immunity, immunization.Immunity, x, nil)
	if word := immuneTo(x); len(some) == 0 && word != "" {
		var of, better []immunization.Fact
		for _, e := range c.Immunity {
			title := strings.ToLower(e.Title)
			if !strings.Contains(title, word) {
				continue
			}
			f := immunization.Fact{Kind: immunization.Immunity, Code: e.Code}
			switch titre := strings.Contains(title, "laboratory"); {
			case titre == (x.Code == loincSerology):
				better = append(better, f)
			case !titre || strings.Contains(title, "confirmation"): // of others a titre alone is evidence
				of = append(of, f)
			}
		}
		if some = better; len(some) == 0 {
			some = of
		}
		some = some[:min(len(some), 1)]
	}
	basis := "disease, by a message"
	if x.Code == loincSerology {
		basis = "titre, by a message"
	}
	if x.Date.Known() {
		basis += ", " + x.Date.String()
	}
	for i := range some {
		some[i].Basis = basis
	}
	return some
}

// span is since when and until when a fact is true: by the observations of its group.
func span(o *guide.Order, x *guide.Observation) (from, until coldkeep.Date) {
	for i := range o.Observations {
		d := &o.Observations[i]
		if d.Group != x.Group || x.Code != loincContraindication && x.Code != loincIndication {
			continue
		}
		switch d.Code {
		case loincFrom:
			from = d.Day
		case loincUntil:
			until = d.Day
		}
	}
	if !from.Known() && x.Code != loincContraindication {
		from = x.Date
	}
	if until.Known() && until < from {
		until = 0
	}
	return from, until
}

// tellFacts puts what an order says of the person on the record. Of two messages about one
// fact the word of the one that was made later counts.
func (m *Messages) tellFacts(ctx context.Context, tx exchange.Tx, by auth.Principal, sent time.Time, id string, o *guide.Order) ([]guide.Finding, error) {
	facts, found := m.facts(o)
	if len(facts) == 0 {
		return found, nil
	}
	words, err := tx.MessageWords(ctx, id)
	if err != nil {
		return found, err
	}
	last := map[string]time.Time{}
	for _, w := range words {
		last[w.Topic] = w.Sent
	}
	for _, f := range facts {
		f.Patient = id
		topic := factTopic(&f.Fact)
		at, heard := last[topic]
		if heard && sent.Before(at) {
			continue
		}
		kept, err := m.doses.FactTold(ctx, tx, by, f.Fact, heard)
		if err != nil {
			wrong, ok := refusal(err, f.at.At)
			if !ok {
				return found, err
			}
			found = append(found, wrong)
			continue
		}
		if kept {
			if last[topic] = sent; sent.IsZero() {
				continue
			}
			if err := tx.PutMessageWord(ctx, id, exchange.Word{Topic: topic, Sent: sent}); err != nil {
				return found, err
			}
		}
	}
	return found, nil
}

// factTopic names a fact among the topics of a person; one in words by their sum.
func factTopic(f *immunization.Fact) string {
	if f.Code != "" {
		return "fact " + string(f.Kind) + " " + f.Code
	}
	sum := sha256.Sum256([]byte(f.Title))
	return "fact " + string(f.Kind) + " " + hex.EncodeToString(sum[:8])
}

// tellReactions records what a dose was followed by.
func (m *Messages) tellReactions(ctx context.Context, tx exchange.Tx, by auth.Principal, sent time.Time, d *immunization.Dose, at *order, o *guide.Order) ([]guide.Finding, error) {
	var found []guide.Finding
	for i := range o.Observations {
		x := &o.Observations[i]
		if x.Code != loincReaction || x.Value == "" && x.Text == "" {
			continue
		}
		if d == nil {
			found = append(found, guide.Finding{Severity: guide.Warning, Location: x.At, Code: guide.ApplicationError, AppCode: guide.IllogicalValue, Rule: "reaction-without-dose",
				Text: "A reaction belongs to the dose that it followed. It was not kept."})
			continue
		}
		r := immunization.Reaction{Patient: d.Patient, Doses: []string{d.ID}, Event: first(cmp.Or(strings.TrimSpace(x.Text), x.Value+" "+x.System), 2000), Reporter: by.Name}
		if _, err := m.doses.ReactionTold(ctx, tx, by, r); err != nil {
			wrong, ok := refusal(err, x.At)
			if !ok {
				return found, err
			}
			found = append(found, wrong)
			continue
		}
		i := slices.IndexFunc(at.key.Reactions, func(s exchange.SaidReaction) bool { return s.Event == r.Event })
		switch {
		case i < 0:
			at.key.Reactions = append(at.key.Reactions, exchange.SaidReaction{Sent: sent, Event: r.Event})
		case at.key.Reactions[i].Sent.Before(sent):
			at.key.Reactions[i].Sent = sent
		default:
			continue
		}
		if err := tx.PutOrderNumber(ctx, at.key); err != nil {
			return found, err
		}
	}
	return found, nil
}

// first is the beginning of a text, at most so many bytes.
func first(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
