package vis

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/vaccine/barcode"
)

// MaxText bounds the file of a statement; CDC's have some hundred kilobytes.
const MaxText = 8 << 20

// AddEdition puts in a new edition, which is current from then on: the earlier editions of
// the same statement become historic. EFORBIDDEN when by may not manage the programme,
// EINVALID for a wrong field, ECONFLICT when the edition is there.
func (s *Service) AddEdition(ctx context.Context, by auth.Principal, e Edition) (Statement, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return Statement{}, err
	}
	code, err := barcode.Statement(e.Code)
	if err != nil {
		return Statement{}, err
	}
	e.Code, e.Name, e.Why = code, strings.TrimSpace(e.Name), strings.TrimSpace(e.Why)
	e.CVX = slices.Clone(e.CVX)
	switch {
	case e.Name == "" || len(e.Name) > 200:
		return Statement{}, coldkeep.Errorf(coldkeep.EINVALID, "Name: want 1 to 200 characters.")
	case !e.Edition.Known():
		return Statement{}, coldkeep.Errorf(coldkeep.EINVALID, "Edition: want the date at the foot of the statement.")
	case len(e.CVX) == 0 || len(e.CVX) > 100:
		return Statement{}, coldkeep.Errorf(coldkeep.EINVALID, "Vaccines: want the CVX codes that the statement is for.")
	case len(e.Why) > 500:
		return Statement{}, coldkeep.Errorf(coldkeep.EINVALID, "Source: want at most 500 characters.")
	}
	for i, cvx := range e.CVX {
		v, ok := s.codes.CVX(cvx)
		if !ok {
			return Statement{}, coldkeep.Errorf(coldkeep.EINVALID, "Vaccines: %q is not a code of the CVX set.", cvx)
		}
		e.CVX[i] = v.CVX
	}
	slices.Sort(e.CVX)
	e.CVX = slices.Compact(e.CVX)
	e.ID, e.Current, e.By, e.At = ulid.Make().String(), true, by.Name, s.clock.Now()
	var out Statement
	err = s.store.Tx(ctx, func(tx Tx) error {
		all, err := s.all(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := find(all, e.Code); err == nil {
			return coldkeep.Errorf(coldkeep.ECONFLICT, "The edition with this code is there already.")
		}
		for _, st := range all {
			if st.Current && st.Document() == documentOf(e.Code) {
				if st.Edition > e.Edition {
					return coldkeep.Errorf(coldkeep.ECONFLICT, "A newer edition of this statement, of %s, is current. Only newer ones are added.", st.Edition)
				}
				if err := tx.InsertEdition(ctx, Edition{ID: ulid.Make().String(), Code: st.Code, Name: st.Name, Edition: st.Edition, CVX: st.CVX, Why: "followed by the edition of " + e.Edition.String(), By: by.Name, At: e.At}); err != nil {
					return err
				}
			}
		}
		if err := tx.InsertEdition(ctx, e); err != nil {
			return err
		}
		if all, err = s.all(ctx, tx); err != nil {
			return err
		}
		if out, err = find(all, e.Code); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, "vis.edition", "vis/"+e.Code, e.Why, e.Name+", edition of "+e.Edition.String()))
	})
	return out, err
}

// SetCurrent says of an edition that it is current or historic, against the code sets or an
// earlier word. EFORBIDDEN, ENOTFOUND, EINVALID without a reason.
func (s *Service) SetCurrent(ctx context.Context, by auth.Principal, code string, current bool, why string) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	if why = strings.TrimSpace(why); why == "" || len(why) > 500 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why, in 1 to 500 characters.")
	}
	return s.store.Tx(ctx, func(tx Tx) error {
		all, err := s.all(ctx, tx)
		if err != nil {
			return err
		}
		st, err := find(all, code)
		if err != nil || st.Current == current {
			return err
		}
		if err := tx.InsertEdition(ctx, Edition{ID: ulid.Make().String(), Code: st.Code, Name: st.Name, Edition: st.Edition, Current: current, CVX: st.CVX, Why: why, By: by.Name, At: s.clock.Now()}); err != nil {
			return err
		}
		word := "historic"
		if current {
			word = "current"
		}
		return tx.Audit(ctx, s.entry(by, "vis.status", "vis/"+code, why, word))
	})
}

// AddText puts in a statement in a language, as a file (a PDF, or plain text) or as the
// address of one. The one before it stays kept. EFORBIDDEN when by may not manage the
// programme, ENOTFOUND for an unknown edition, EINVALID for a wrong field.
func (s *Service) AddText(ctx context.Context, by auth.Principal, t Text) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	t.Address, t.Why = strings.TrimSpace(t.Address), strings.TrimSpace(t.Why)
	switch {
	case patient.Title(patient.Languages, t.Language) == t.Language:
		return coldkeep.Errorf(coldkeep.EINVALID, "Language: %q is not one of the list.", t.Language)
	case (t.Address == "") == (len(t.Content) == 0):
		return coldkeep.Errorf(coldkeep.EINVALID, "Statement: want a file, or an address, and not both.")
	case len(t.Content) > MaxText:
		return coldkeep.Errorf(coldkeep.EINVALID, "File: want at most %d MB.", MaxText>>20)
	case len(t.Why) > 500 || len(t.Address) > 500:
		return coldkeep.Errorf(coldkeep.EINVALID, "Source and address: want at most 500 characters.")
	}
	if t.Address != "" {
		if u, err := url.Parse(t.Address); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			return coldkeep.Errorf(coldkeep.EINVALID, "Address: want one that begins with https://.")
		}
	}
	t.Media = ""
	if t.Address == "" {
		switch {
		case bytes.HasPrefix(t.Content, []byte("%PDF-")):
			t.Media = "application/pdf"
		case utf8.Valid(t.Content) && !bytes.ContainsFunc(t.Content, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }):
			t.Media = "text/plain; charset=utf-8"
		default:
			return coldkeep.Errorf(coldkeep.EINVALID, "File: want a PDF, or plain text in UTF-8.")
		}
	}
	h := sha256.Sum256(t.Content)
	t.ID, t.By, t.At, t.Size, t.Withdrawn, t.Builtin = ulid.Make().String(), by.Name, s.clock.Now(), int64(len(t.Content)), false, false
	if t.Address == "" {
		t.SHA256 = hex.EncodeToString(h[:])
	}
	return s.putText(ctx, by, t, "vis.text")
}

// WithdrawText no longer offers a statement in a language. Errors as AddText.
func (s *Service) WithdrawText(ctx context.Context, by auth.Principal, code, language, why string) error {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return err
	}
	if why = strings.TrimSpace(why); why == "" || len(why) > 500 {
		return coldkeep.Errorf(coldkeep.EINVALID, "Reason: say why, in 1 to 500 characters.")
	}
	return s.putText(ctx, by, Text{ID: ulid.Make().String(), Code: code, Language: language, Withdrawn: true, Why: why, By: by.Name, At: s.clock.Now()}, "vis.withdraw")
}

func (s *Service) putText(ctx context.Context, by auth.Principal, t Text, what string) error {
	return s.store.Tx(ctx, func(tx Tx) error {
		all, err := s.all(ctx, tx)
		if err != nil {
			return err
		}
		st, err := find(all, t.Code)
		if err != nil {
			return err
		}
		if has := st.Language(t.Language); t.Withdrawn && (has == nil || has.Builtin) {
			return coldkeep.Errorf(coldkeep.ENOTFOUND, "There is no text in this language to withdraw.")
		}
		if err := tx.InsertText(ctx, t); err != nil {
			return err
		}
		return tx.Audit(ctx, s.entry(by, what, "vis/"+t.Code, t.Why, LanguageName(t.Language)))
	})
}

// Open gives a statement in a language, with its content when it is a file here. Errors as
// List; ENOTFOUND when there is none in that language.
func (s *Service) Open(ctx context.Context, by auth.Principal, code, language string) (Text, error) {
	st, err := s.Get(ctx, by, code)
	if err != nil {
		return Text{}, err
	}
	t := st.Language(language)
	switch {
	case t == nil:
		return Text{}, coldkeep.Errorf(coldkeep.ENOTFOUND, "This statement is not here in %s.", LanguageName(language))
	case t.Address != "":
		return *t, nil
	}
	return s.store.Text(ctx, t.ID)
}

// TextsOf lists every text that an edition has had, the latest first. EFORBIDDEN when by may
// not manage the programme.
func (s *Service) TextsOf(ctx context.Context, by auth.Principal, code string) ([]Text, error) {
	if err := by.Require(auth.ManageProgramme, ""); err != nil {
		return nil, err
	}
	return s.store.TextHistory(ctx, code)
}
