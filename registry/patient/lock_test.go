package patient_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

var form = patient.Form{Signer: "Nora Brandt", Relation: "MTH", Signed: coldkeep.NewDate(2026, 11, 1), Kept: "chart"}

func TestOptOutLocks(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		f, err := w.Search(w.ctx, other, byName("Brandt", "Mila"))
		if err != nil || len(f.Hits) != 1 {
			w.t.Fatal(f, err)
		}
		w.want(coldkeep.EINVALID, w.Lock(w.ctx, nurse, id, patient.Form{Signer: "x", Relation: "MTH"}))
		w.must(w.Lock(w.ctx, desk, id, form))
		w.want(coldkeep.ECONFLICT, w.Lock(w.ctx, nurse, id, form))

		// The other practice is told that there is a locked record, and nothing of it.
		_, err = w.Open(w.ctx, other, id, "")
		if !patient.IsLocked(err) {
			w.t.Fatalf("%v", err)
		}
		f, err = w.Search(w.ctx, other, byName("Brandt", "Mila"))
		w.must(err)
		if want := (patient.Found{Hits: []patient.Hit{{Face: patient.Face{ID: id}, Locked: true}}}); !reflect.DeepEqual(f, want) {
			w.t.Errorf("%+v", f)
		}
		f, err = w.Search(w.ctx, other, byName("Brant", "Mila")) // a guess tells nothing
		if err != nil || len(f.Hits) != 0 || f.Similar {
			w.t.Errorf("%+v, %v", f, err)
		}
		// It cannot save either: not an edit, not a status, not the person again, not by a message.
		p := mila("Brandt", "Mila")
		p.Identifiers = nil
		_, err = w.Add(w.ctx, other, p)
		if !patient.IsLocked(err) {
			w.t.Errorf("add: %v", err)
		}
		_, _, err = w.ResolveAlone(w.ctx, ehr, p)
		if !patient.IsLocked(err) {
			w.t.Errorf("message: %v", err)
		}
		p.ID, p.Revision = id, 1
		_, err = w.Edit(w.ctx, other, p, "")
		w.want(coldkeep.EFORBIDDEN, err)
		_, err = w.SetStatus(w.ctx, other, id, "northgate", patient.Active, "")
		w.want(coldkeep.EFORBIDDEN, err)
		w.want(coldkeep.EFORBIDDEN, w.Unlock(w.ctx, other, id, form))

		// The site that locked it and the state see it.
		_, err = w.Open(w.ctx, viewer, id, "")
		w.must(err)
		f, err = w.Search(w.ctx, state, byName("Brandt", "Mila"))
		if err != nil || len(f.Hits) != 1 || f.Hits[0].Locked {
			w.t.Errorf("%+v, %v", f, err)
		}
		_, err = w.Open(w.ctx, state, id, "")
		w.must(err)
		var out bytes.Buffer
		w.must(w.WriteDeidentified(w.ctx, epi, &out, nil))
		if n := strings.Count(out.String(), "\n"); n != 1 {
			w.t.Errorf("export: %s", out.String())
		}
		w.must(w.Unlock(w.ctx, nurse, id, form))
		w.want(coldkeep.ECONFLICT, w.Unlock(w.ctx, nurse, id, form))
		_, err = w.Open(w.ctx, other, id, "")
		w.must(err)
		r, err := w.Open(w.ctx, nurse, id, "")
		w.must(err)
		if len(r.Locks) != 1 || r.Locks[0].EndedAt == nil || !strings.Contains(r.Locks[0].Form, "Nora Brandt (Mother), kept in chart") {
			w.t.Errorf("%+v", r.Locks)
		}
		if r.Lock != nil || r.Gate.Locked {
			w.t.Error("still locked")
		}
	})
}

func TestBreakGlass(t *testing.T) {
	each(t, func(w *world) {
		id := w.add(nurse, mila("Brandt", "Mila"))
		w.must(w.Lock(w.ctx, nurse, id, form))
		_, err := w.BreakGlass(w.ctx, other, id, "unconscious in the emergency room")
		w.want(coldkeep.EFORBIDDEN, err) // nobody opens what nobody searched for
		_, err = w.Search(w.ctx, other, byName("Brandt", "Mila"))
		w.must(err)
		_, err = w.BreakGlass(w.ctx, other, id, " x ")
		w.want(coldkeep.EINVALID, err)
		_, err = w.BreakGlass(w.ctx, desk, id, "unconscious in the emergency room")
		w.want(coldkeep.EFORBIDDEN, err) // not a front desk's
		until, err := w.BreakGlass(w.ctx, other, id, "unconscious in the emergency room")
		w.must(err)
		if until.Sub(w.clock.now) != time.Hour {
			w.t.Errorf("until %v", until)
		}
		_, err = w.BreakGlass(w.ctx, other, id, "unconscious in the emergency room")
		w.want(coldkeep.ECONFLICT, err)
		r, err := w.Open(w.ctx, other, id, "")
		w.must(err)
		p := r.Patient
		_, err = w.Edit(w.ctx, other, p, "")
		w.want(coldkeep.EFORBIDDEN, err) // for viewing alone
		all, err := w.Emergencies(w.ctx, auditor, true)
		w.must(err)
		if len(all) != 1 || all[0].Who != "Ines" || all[0].Why != "unconscious in the emergency room" || all[0].Site != "northgate" {
			w.t.Fatalf("%+v", all)
		}
		_, err = w.Emergencies(w.ctx, other, true)
		w.want(coldkeep.EFORBIDDEN, err)
		w.must(w.ReviewEmergency(w.ctx, state, all[0].ID, "confirmed by the hospital"))
		w.want(coldkeep.ECONFLICT, w.ReviewEmergency(w.ctx, auditor, all[0].ID, "confirmed by the hospital"))
		if all, err = w.Emergencies(w.ctx, auditor, true); err != nil || len(all) != 0 {
			w.t.Errorf("%+v, %v", all, err)
		}
		if all, err = w.Emergencies(w.ctx, auditor, false); err != nil || len(all) != 1 || all[0].ReviewedBy != "Sam" {
			w.t.Errorf("%+v, %v", all, err)
		}
		w.clock.now = w.clock.now.Add(time.Hour)
		_, err = w.Open(w.ctx, other, id, "")
		if !patient.IsLocked(err) {
			w.t.Errorf("an hour later: %v", err)
		}
	})
}
