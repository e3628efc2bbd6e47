package excursion

import (
	"cmp"
	"math"
	"slices"

	"github.com/coldkeep/coldkeep"
)

// oracle judges a whole record the slow and obvious way: it looks at everything for
// each answer and keeps no state. It is written from the words of the command
// contract and of docs/profiles.md, and shares no code with the engine but the nouns.
type oracle struct {
	u       *coldkeep.UnitRules
	h       *History
	samples []Sample // in order
	now     int64
	gap     int64 // max_gap in ms
	times   []int64
}

// spell is a time [from, to) in which a probe stood in one role, or in which any
// probe of a role did (probe -1).
type spell struct {
	probe    int
	role     coldkeep.Role
	from, to int64
}

func judgeByOracle(u *coldkeep.UnitRules, h *History, samples []Sample, now int64) []Finding {
	o := &oracle{u: u, h: h, samples: slices.Clone(samples), now: now, gap: int64(u.MaxGap) * 60_000}
	slices.SortFunc(o.samples, func(a, b Sample) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Probe, b.Probe), cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.Celsius, b.Celsius), cmp.Compare(a.Quality, b.Quality))
	})
	for _, st := range h.Stays {
		o.times = append(o.times, st.From, st.To)
	}
	for _, x := range h.OutOfService {
		o.times = append(o.times, x[0], x[1])
	}
	o.times = append(o.times, math.MinInt64, math.MaxInt64)
	slices.Sort(o.times)
	o.times = slices.Compact(o.times)
	var out []Finding
	for _, sp := range o.probeSpells() {
		out = append(out, o.faults(sp)...)
		out = append(out, o.silencesAlone(sp)...)
	}
	for _, sp := range o.voiceSpells(coldkeep.RoleVaccine) {
		out = append(out, o.silences(sp)...)
	}
	for _, role := range []coldkeep.Role{coldkeep.RoleVaccine, coldkeep.RoleAir} {
		for _, kind := range []coldkeep.Kind{coldkeep.TooWarm, coldkeep.TooCold} {
			out = append(out, o.excursions(role, kind)...)
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Kind, b.Kind), cmp.Compare(b.Role, a.Role), cmp.Compare(a.Probe, b.Probe), cmp.Compare(a.End, b.End))
	})
	return out
}

// role is what a probe stands for at a time, "" if it is not listened to.
func (o *oracle) role(probe int, at int64) coldkeep.Role {
	role := coldkeep.Role("")
	for _, st := range o.h.Stays {
		if st.Probe == probe && st.From <= at && at < st.To {
			if st.Role != coldkeep.RoleAir {
				role = coldkeep.RoleVaccine
			} else if role == "" {
				role = coldkeep.RoleAir
			}
		}
	}
	if o.outOfService(at) {
		return ""
	}
	return role
}

func (o *oracle) outOfService(at int64) bool {
	for _, x := range o.h.OutOfService {
		if x[0] <= at && at < x[1] {
			return true
		}
	}
	return false
}

func (o *oracle) probes() []int {
	var out []int
	for _, st := range o.h.Stays {
		if !slices.Contains(out, st.Probe) {
			out = append(out, st.Probe)
		}
	}
	return out
}

// stretches joins the times between two changes of the history in which in holds.
func (o *oracle) stretches(in func(at int64) bool) (out [][2]int64) {
	for i := 0; i+1 < len(o.times); i++ {
		if !in(o.times[i]) {
			continue
		}
		if n := len(out); n > 0 && out[n-1][1] == o.times[i] {
			out[n-1][1] = o.times[i+1]
		} else {
			out = append(out, [2]int64{o.times[i], o.times[i+1]})
		}
	}
	return out
}

func (o *oracle) probeSpells() (out []spell) {
	for _, p := range o.probes() {
		for _, role := range []coldkeep.Role{coldkeep.RoleVaccine, coldkeep.RoleAir} {
			for _, s := range o.stretches(func(at int64) bool { return o.role(p, at) == role }) {
				out = append(out, spell{p, role, s[0], s[1]})
			}
		}
	}
	return out
}

func (o *oracle) voiceSpells(role coldkeep.Role) (out []spell) {
	for _, s := range o.stretches(func(at int64) bool { return o.count(role, at) > 0 }) {
		out = append(out, spell{-1, role, s[0], s[1]})
	}
	return out
}

func (o *oracle) count(role coldkeep.Role, at int64) (n int) {
	for _, p := range o.probes() {
		if o.role(p, at) == role {
			n++
		}
	}
	return n
}

// over is how a spell ended, if it was over by now.
func (o *oracle) over(sp spell) (end int64, why Ended) {
	switch {
	case sp.to > o.now:
		return 0, ""
	case o.outOfService(sp.to):
		return sp.to, EndedOutOfService
	}
	return sp.to, EndedLeft
}

// in lists the indices of the samples of a spell.
func (o *oracle) in(sp spell) (out []int) {
	for i, s := range o.samples {
		if s.At >= sp.from && s.At < sp.to && o.role(s.Probe, s.At) == sp.role && (sp.probe < 0 || sp.probe == s.Probe) {
			out = append(out, i)
		}
	}
	return out
}

func (o *oracle) faults(sp spell) (out []Finding) {
	mine := o.in(sp)
	for k := 0; k < len(mine); k++ {
		s := o.samples[mine[k]]
		if s.Celsius.Known() {
			continue
		}
		f := Finding{Kind: coldkeep.SensorFault, Role: sp.role, Probe: sp.probe, Start: s.At, Reason: s.Quality, MKT: coldkeep.NoTemperature}
		for k < len(mine) && !o.samples[mine[k]].Celsius.Known() {
			k++
		}
		if k < len(mine) {
			f.End = o.samples[mine[k]].At
		} else {
			f.End, f.Ended = o.over(sp)
		}
		f.Actions = o.faultActions(&f)
		out = append(out, f)
	}
	return out
}

func (o *oracle) faultActions(f *Finding) []coldkeep.Action {
	end := f.End
	if end == 0 {
		end = o.now
	}
	allowed := f.Start + int64(o.u.NoDataAlert)*60_000
	if end < allowed {
		return []coldkeep.Action{"log"}
	}
	moments := []int64{end}
	for _, s := range o.samples {
		moments = append(moments, s.At)
	}
	moments = append(moments, o.times...)
	for _, t := range moments {
		if f.Role != coldkeep.RoleVaccine || t < allowed || t > end {
			continue
		}
		spoke := false
		for _, sp := range o.voiceSpells(coldkeep.RoleVaccine) {
			if sp.from > f.Start || f.Start >= sp.to {
				continue
			}
			for _, i := range o.in(sp) {
				if s := o.samples[i]; s.Celsius.Known() && s.At < t && t-s.At <= o.gap {
					spoke = true
				}
			}
		}
		if !spoke {
			return []coldkeep.Action{"log", "alert"}
		}
	}
	return []coldkeep.Action{"log", "warn"}
}

// silences are the gaps in the records of all vaccine probes.
func (o *oracle) silences(sp spell) (out []Finding) {
	end, why := o.over(sp)
	last, known := sp.from, sp.from != math.MinInt64
	gap := func(until, looked int64) Finding {
		f := Finding{Kind: coldkeep.NoData, Role: coldkeep.RoleVaccine, Probe: -1, Start: last, Actions: []coldkeep.Action{"log"}, MKT: coldkeep.NoTemperature}
		if until-last >= int64(o.u.NoDataAlert)*60_000 {
			f.Actions = append(f.Actions, "alert")
		}
		if o.count(coldkeep.RoleVaccine, looked) == 1 {
			for _, p := range o.probes() {
				if o.role(p, looked) == coldkeep.RoleVaccine {
					f.Probe = p
				}
			}
		}
		return f
	}
	for _, i := range o.in(sp) {
		at := o.samples[i].At
		if known && at-last > o.gap {
			f := gap(at, at)
			f.End = at
			out = append(out, f)
		}
		last, known = at, true
	}
	switch {
	case !known:
	case end != 0 && end-last > o.gap:
		f := gap(end, end-1)
		f.End, f.Ended = end, why
		out = append(out, f)
	case end == 0 && sp.from <= o.now && o.now-last > o.gap:
		out = append(out, gap(o.now, o.now))
	}
	return out
}

// moment is something that says whether a probe is silent alone.
type moment struct {
	at     int64
	order  int // of moments at one time: changes of the history, then samples by index
	excuse bool
	flag   bool
}

// silencesAlone are the gaps of one probe while others give records.
func (o *oracle) silencesAlone(sp spell) (out []Finding) {
	if sp.from > o.now {
		return nil
	}
	// What the appliance's vaccine probes said, and when they began and ended.
	var ms []moment
	for _, v := range o.voiceSpells(coldkeep.RoleVaccine) {
		if sp.role == coldkeep.RoleAir {
			ms = append(ms, moment{at: v.from, order: -1, flag: true})
		}
		var ends []int64
		for _, f := range o.silences(v) {
			if f.End != 0 {
				ends = append(ends, f.End)
				if f.Ended != EndedBack {
					ms = append(ms, moment{at: f.End, order: -2, excuse: true})
				}
			}
		}
		first := map[int64]bool{}
		for _, i := range o.in(v) {
			at := o.samples[i].At
			m := moment{at: at, order: i, flag: o.samples[i].Probe != sp.probe || sp.role == coldkeep.RoleAir}
			if slices.Contains(ends, at) && !first[at] && at > v.from {
				m.excuse = true
			}
			first[at] = true
			ms = append(ms, m)
		}
	}
	slices.SortFunc(ms, func(a, b moment) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.order, b.order)) })
	end, why := o.over(sp)
	mine := o.in(sp)
	for k := -1; k < len(mine); k++ {
		since, order := sp.from, -1
		if k >= 0 {
			since, order = o.samples[mine[k]].At, mine[k]
		}
		f := Finding{Kind: coldkeep.NoData, Role: sp.role, Probe: sp.probe, Start: since, Actions: []coldkeep.Action{"log"}, MKT: coldkeep.NoTemperature}
		until, untilOrder, looked := o.now, math.MaxInt, o.now
		switch {
		case k+1 < len(mine):
			until, untilOrder = o.samples[mine[k+1]].At, mine[k+1]
			f.End, looked = until, until
		case end != 0:
			until, untilOrder = end, -1
			f.End, f.Ended, looked = end, why, end-1
		}
		silent := false
		for _, m := range ms {
			if m.at < since || m.at == since && m.order <= order || m.at > until || m.at == until && m.order >= untilOrder {
				continue
			}
			if silent {
				break
			}
			if m.excuse {
				f.Start = m.at
			}
			if m.flag && f.Start != math.MinInt64 && m.at-f.Start > o.gap {
				silent = true
			}
		}
		if sp.role == coldkeep.RoleAir && f.Start != math.MinInt64 && until-f.Start > o.gap && o.count(coldkeep.RoleVaccine, looked) == 0 {
			silent = true
		}
		if !silent {
			continue
		}
		if until-f.Start >= int64(o.u.NoDataAlert)*60_000 {
			f.Actions = append(f.Actions, "warn")
		}
		out = append(out, f)
	}
	return out
}

// word is what a voice says in one direction at a time.
type word struct {
	at     int64
	t      coldkeep.Temperature
	sample int // index; -1 the end of the spell, up to which the last word held
	held   int64
	spell  int
}

// words lists what a voice said.
func (o *oracle) words(role coldkeep.Role, kind coldkeep.Kind) (out []word) {
	for n, sp := range o.voiceSpells(role) {
		first := len(out)
		for _, i := range o.in(sp) {
			if !o.samples[i].Celsius.Known() {
				continue
			}
			out = append(out, word{at: o.samples[i].At, t: o.worst(role, kind, i), sample: i, spell: n})
		}
		if end, _ := o.over(sp); end != 0 && len(out) > first && end-out[len(out)-1].at <= o.gap {
			out = append(out, word{at: end, t: out[len(out)-1].t, sample: -1, spell: n})
		}
	}
	for i := range out {
		if i+1 < len(out) && out[i+1].spell == out[i].spell && out[i+1].at-out[i].at <= o.gap {
			out[i].held = out[i+1].at - out[i].at
		}
	}
	return out
}

// worst is the furthest of what the probes of a role say at the time of sample i.
func (o *oracle) worst(role coldkeep.Role, kind coldkeep.Kind, i int) coldkeep.Temperature {
	t := o.samples[i].Celsius
	for _, p := range o.probes() {
		if o.role(p, o.samples[i].At) != role {
			continue
		}
		if says := o.says(p, role, i); says.Known() && (kind == coldkeep.TooWarm && says > t || kind == coldkeep.TooCold && says < t) {
			t = says
		}
	}
	return t
}

// says is what a probe says when sample i has come.
func (o *oracle) says(p int, role coldkeep.Role, i int) coldkeep.Temperature {
	at := o.samples[i].At
	for _, sp := range o.probeSpells() {
		if sp.probe != p || sp.role != role || at < sp.from || at >= sp.to {
			continue
		}
		mine := o.in(sp)
		for k := len(mine) - 1; k >= 0; k-- {
			if s := o.samples[mine[k]]; mine[k] <= i && s.Celsius.Known() {
				if at-s.At <= o.gap {
					return s.Celsius
				}
				break
			}
		}
	}
	return coldkeep.NoTemperature
}

func (o *oracle) out(kind coldkeep.Kind, t coldkeep.Temperature) bool {
	if o.u.Out(t) == kind {
		return true
	}
	for r := range o.u.Rules {
		if o.u.Rules[r].Kind == kind && o.u.Rules[r].Out(t) {
			return true
		}
	}
	return false
}

func (o *oracle) excursions(role coldkeep.Role, kind coldkeep.Kind) (out []Finding) {
	ws := o.words(role, kind)
	spells := o.voiceSpells(role)
	for i := 0; i < len(ws); i++ {
		if !o.out(kind, ws[i].t) || ws[i].sample < 0 {
			continue
		}
		last := i // the last word of it
		f := Finding{Kind: kind, Role: role, Start: ws[i].at, MKT: coldkeep.NoTemperature}
		back := -1
		for j := i; j < len(ws) && ws[j].spell == ws[i].spell; j++ {
			last = j
			if o.out(kind, ws[j].t) {
				back = -1
				continue
			}
			if back < 0 {
				back = j
			}
			if ws[j].at-ws[back].at >= int64(o.u.CloseAfter)*60_000 {
				f.End = ws[back].at
				break
			}
		}
		if f.End == 0 {
			f.End, f.Ended = o.over(spells[ws[i].spell])
			back = -1
		}
		o.measure(&f, ws, i, last, back)
		o.rules(&f, ws, i, last)
		o.witnesses(&f, ws, i, last, spells[ws[i].spell])
		out = append(out, f)
		i = last
	}
	return out
}

// measure takes the figures of the words first to last; back is the one that ended
// it, -1 for none.
func (o *oracle) measure(f *Finding, ws []word, first, last, back int) {
	edge := o.u.High
	if f.Kind == coldkeep.TooCold {
		edge = o.u.Low
	}
	at := float64(edge.Milli)
	if edge.Scale == coldkeep.ScaleFahrenheit {
		at = math.Floor((at - 32_000) * 5 / 9)
	}
	heat, time := 0.0, 0.0
	for j := first; j <= last; j++ {
		held := ws[j].held
		if j == last {
			held = 0
		}
		if o.out(f.Kind, ws[j].t) {
			f.OutMS += held
			if j == first || f.Kind == coldkeep.TooWarm && ws[j].t > f.Extreme || f.Kind == coldkeep.TooCold && ws[j].t < f.Extreme {
				f.Extreme, f.PeakAt, f.Probe = ws[j].t, ws[j].at, o.samples[ws[j].sample].Probe
			}
			by := float64(ws[j].t) - at
			if f.Kind == coldkeep.TooCold {
				by = -by
			}
			f.AreaMS += int64(math.Max(0, by)) * held
		}
		if back < 0 || j < back {
			time += float64(held)
			heat += float64(held) * math.Exp(-83.144/(8.3144e-3*(float64(ws[j].t)/1000+273.15)))
		}
	}
	if f.Kind == coldkeep.TooWarm && time > 0 {
		f.MKT = coldkeep.FromCelsius(83.144/8.3144e-3/-math.Log(heat/time) - 273.15)
	}
}

func (o *oracle) witnesses(f *Finding, ws []word, first, last int, voice spell) {
	opened := ws[first].sample
	// What came until it was closed: by a sample, by the end of the voice, or not yet.
	closing, until, included := len(o.samples)-1, o.now, true
	switch {
	case f.End != 0 && f.Ended == EndedBack && ws[last].sample >= 0:
		closing, until = ws[last].sample, ws[last].at
	case f.End != 0:
		until, included = voice.to, false
	}
	f.FromStart = true
	for _, sp := range o.probeSpells() {
		if sp.probe == o.samples[opened].Probe && sp.from <= f.Start && f.Start < sp.to {
			for _, i := range o.in(sp) {
				if t := o.samples[i].Celsius; i < opened && t.Known() && !o.out(coldkeep.TooWarm, t) && !o.out(coldkeep.TooCold, t) {
					f.FromStart = false
				}
			}
		}
		if sp.to <= f.Start || sp.from > until || sp.from == until && !included {
			continue
		}
		w := Witness{Probe: sp.probe, Role: sp.role, Extreme: coldkeep.NoTemperature}
		see := func(t coldkeep.Temperature) {
			if t.Known() && (!w.Extreme.Known() || f.Kind == coldkeep.TooWarm && t > w.Extreme || f.Kind == coldkeep.TooCold && t < w.Extreme) {
				w.Extreme = t
			}
		}
		if sp.from <= f.Start {
			see(o.says(sp.probe, sp.role, opened))
		}
		for _, i := range o.in(sp) {
			if i >= opened && i <= closing && (o.samples[i].At < until || included) {
				see(o.samples[i].Celsius)
			}
		}
		w.Out = w.Extreme.Known() && o.out(f.Kind, w.Extreme)
		merged := false
		for i := range f.Witnesses {
			if v := &f.Witnesses[i]; v.Probe == w.Probe && v.Role == w.Role {
				see(v.Extreme)
				v.Extreme, v.Out, merged = w.Extreme, w.Out || v.Out, true
			}
		}
		if !merged {
			f.Witnesses = append(f.Witnesses, w)
		}
	}
	slices.SortFunc(f.Witnesses, func(a, b Witness) int {
		return cmp.Or(cmp.Compare(a.Probe, b.Probe), cmp.Compare(b.Role, a.Role))
	})
}

func (o *oracle) rules(f *Finding, ws []word, first, last int) {
	const minute = int64(60_000)
	best := 0
	for r := range o.u.Rules {
		rule := &o.u.Rules[r]
		if rule.Kind != f.Kind {
			continue
		}
		met := false
		for m := first; m <= last; m++ {
			switch rule.Type {
			case coldkeep.Instant:
				met = met || rule.Out(ws[m].t)
			case coldkeep.Consecutive:
				for k := m; k >= first && rule.Out(ws[k].t); k-- {
					if k < m && ws[k].held == 0 && ws[k+1].at != ws[k].at {
						break // a gap
					}
					met = met || ws[m].at-ws[k].at >= int64(rule.Minutes)*minute
				}
			case coldkeep.Cumulative:
				sum, since := int64(0), ws[m].at-int64(rule.Window)*60*minute
				for k := 0; k < m; k++ {
					if end := ws[k].at + ws[k].held; rule.Out(ws[k].t) && end > since {
						sum += end - max(ws[k].at, since)
					}
				}
				met = met || sum >= int64(rule.Minutes)*minute
			}
		}
		if !met {
			continue
		}
		rank := 0
		for _, a := range rule.Actions {
			if f.Role == coldkeep.RoleAir && a != coldkeep.ActionLog {
				a = coldkeep.ActionWarn
			}
			rank = max(rank, a.Rank())
			if !slices.Contains(f.Actions, a) {
				f.Actions = append(f.Actions, a)
			}
		}
		if rank > best {
			best, f.Rule = rank, rule.Type
		}
	}
	slices.SortFunc(f.Actions, func(a, b coldkeep.Action) int { return a.Rank() - b.Rank() })
}
