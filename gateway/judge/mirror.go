package judge

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/gateway/excursion"
	"github.com/coldkeep/coldkeep/gateway/ledger"
)

// past is what the registry says of an appliance's time: which probe stood in it
// when, and when it was out of service.
type past struct {
	probes []coldkeep.Series // by the engine's index
	stays  []coldkeep.Assignment
	away   []coldkeep.Context // out of service
	others []coldkeep.Context // of any other kind, noted beside
}

// pastOf gathers an appliance's past from a mirror. Probes are numbered in the
// order in which they came, so that one that comes later changes no number.
func pastOf(m *coldkeep.Mirror, id coldkeep.ApplianceID) past {
	var stays []coldkeep.Assignment
	for _, as := range m.Assignments {
		if as.Appliance == id {
			stays = append(stays, as)
		}
	}
	var contexts []coldkeep.Context
	for _, c := range m.Contexts {
		if c.Appliance == id {
			contexts = append(contexts, c)
		}
	}
	return newPast(stays, contexts)
}

// newPast makes a past of an appliance's lines of the mirror.
func newPast(stays []coldkeep.Assignment, contexts []coldkeep.Context) past {
	p := past{stays: stays}
	slices.SortFunc(p.stays, func(a, b coldkeep.Assignment) int {
		if c := a.From.Compare(b.From); c != 0 {
			return c
		}
		return strings.Compare(a.Series.String(), b.Series.String())
	})
	for _, as := range p.stays {
		if !slices.Contains(p.probes, as.Series) {
			p.probes = append(p.probes, as.Series)
		}
	}
	for _, c := range contexts {
		if c.Kind == coldkeep.ContextOutOfService {
			p.away = append(p.away, c)
		} else {
			p.others = append(p.others, c)
		}
	}
	slices.SortFunc(p.away, func(a, b coldkeep.Context) int { return a.From.Compare(b.From) })
	return p
}

func openEnd(to *time.Time) int64 {
	if to == nil {
		return never
	}
	return to.UnixMilli()
}

// covers reports whether a probe stood in the appliance at a time (ms).
func (p *past) covers(probe int, at int64) bool {
	for i := range p.stays {
		as := &p.stays[i]
		if as.Series == p.probes[probe] && as.From.UnixMilli() <= at && at < openEnd(as.To) {
			return true
		}
	}
	return false
}

// history is the past from a time (ms) on as the engine wants it. A stay that began
// before it has no beginning, so that silence before its first record is no gap.
func (p *past) history(horizon int64) *excursion.History {
	h := &excursion.History{}
	for _, as := range p.stays {
		stay := excursion.Stay{Probe: slices.Index(p.probes, as.Series), Role: as.Role, From: as.From.UnixMilli(), To: openEnd(as.To)}
		if stay.To <= horizon {
			continue
		}
		if stay.From < horizon {
			stay.From = math.MinInt64
		}
		h.Stays = append(h.Stays, stay)
	}
	for _, c := range p.away {
		h.OutOfService = append(h.OutOfService, [2]int64{c.From.UnixMilli(), openEnd(c.To)})
	}
	return h
}

// fingerprint is the same for two pasts that agree up to a time (ms): then a state
// of the engine up to that time is good for both.
func (p *past) fingerprint(upTo int64) string {
	var known []any
	clip := func(to *time.Time) int64 {
		if t := openEnd(to); t <= upTo {
			return t
		}
		return never
	}
	for _, as := range p.stays {
		if from := as.From.UnixMilli(); from <= upTo {
			known = append(known, []any{as.Series.String(), as.Role, from, clip(as.To)})
		}
	}
	for _, c := range p.away {
		if from := c.From.UnixMilli(); from <= upTo {
			known = append(known, []any{"", "", from, clip(c.To)})
		}
	}
	b, _ := json.Marshal(known) // strings and numbers always marshal
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:12])
}

// applyMirror takes up the latest mirror, in Run's goroutine. An appliance of which
// nothing has changed keeps its state.
func (j *Judge) applyMirror() {
	j.mu.Lock()
	defer j.mu.Unlock()
	m := j.next
	if m == nil {
		return
	}
	j.next, j.mirror, j.mirrored, j.unruled = nil, *m, true, map[coldkeep.Series]bool{}
	old := j.tracks
	j.tracks = make(map[coldkeep.ApplianceID]*track, len(m.Appliances))
	j.seats = make(map[coldkeep.Series][]seat, len(m.Assignments))
	since := map[coldkeep.SiteID]time.Time{}
	stays := make(map[coldkeep.ApplianceID][]coldkeep.Assignment, len(m.Appliances))
	for _, as := range m.Assignments {
		stays[as.Appliance] = append(stays[as.Appliance], as)
	}
	contexts := map[coldkeep.ApplianceID][]coldkeep.Context{}
	for _, c := range m.Contexts {
		contexts[c.Appliance] = append(contexts[c.Appliance], c)
	}
	for _, ap := range m.Appliances {
		if !j.holds(ap.Site) {
			continue
		}
		if at, ok := j.since[ap.Site]; ok {
			since[ap.Site] = at
		} else {
			since[ap.Site] = j.clock.Now()
		}
		p := newPast(stays[ap.ID], contexts[ap.ID])
		if len(p.stays) == 0 {
			continue
		}
		if !ap.InService && !slices.ContainsFunc(p.away, func(c coldkeep.Context) bool { return c.To == nil }) {
			j.unrule(&p) // out of service, and the registry does not say since when
			continue
		}
		if err := j.seat(ap, p, old[ap.ID]); err != nil {
			j.log.Error("appliance cannot be judged", "appliance", ap.ID, "error", err)
			j.unrule(&p)
		}
	}
	for id, t := range old {
		if j.tracks[id] != t {
			t.gone = true
			delete(j.due, t)
		}
	}
	j.since = since
}

func (j *Judge) unrule(p *past) {
	for _, s := range p.probes {
		j.unruled[s] = true
	}
}

// seat gives an appliance its track: the one it had, when nothing has changed.
func (j *Judge) seat(ap coldkeep.Appliance, p past, was *track) error {
	rules, err := compile(&ap)
	if err != nil {
		return err
	}
	watch, err := foreseeing(&ap, rules)
	if err != nil {
		return err
	}
	all, _ := json.Marshal([]any{ap, p.others, p.fingerprint(never - 1), j.held[ap.Site]}) // strings and times always marshal
	t := was
	if t == nil || t.whole != string(all) {
		t = &track{key: ledger.Track{Appliance: ap.ID, Rules: string(ap.Unit) + "/" + rules.Key()}, whole: string(all), appliance: ap, past: p, history: p.history(math.MinInt64),
			rules: rules, watch: watch, generation: j.held[ap.Site], at: -1, savedAt: never, backTo: never, behind: never, reload: true,
			seen: map[coldkeep.Series]int64{}, latest: blank(len(p.probes)), seenAt: make([]int64, len(p.probes))}
		for i := range p.probes {
			t.several = t.several || p.probes[i].Agent != p.probes[0].Agent
		}
		if was != nil {
			if t.before = was; !was.busy {
				t.before = was.before // of which somebody may be at work still
			}
		}
		j.due[t] = struct{}{}
	}
	j.tracks[ap.ID] = t
	for i, s := range p.probes {
		j.seats[s] = append(j.seats[s], seat{t, i})
	}
	return nil
}

// compile gives an appliance's rules.
func compile(ap *coldkeep.Appliance) (*excursion.Rules, error) {
	p, err := coldkeep.FindProfile(ap.Profile)
	if err != nil {
		return nil, err
	}
	return excursion.Compile(p, ap.Unit, ap.Limits)
}
