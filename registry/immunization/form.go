package immunization

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// maxFormKey bounds a form's key, which its sender makes up.
const maxFormKey = 300

// SentForm is what a form has recorded.
type SentForm struct {
	Form string // who sent it and its key
	Dose string
	Sent string // the hash of what was in it
}

// UsedForm is the error of a form that has recorded another dose already: what is in it now
// is recorded by a new form only. Its code is ECONFLICT.
type UsedForm struct{ message string }

// Error says which dose it was.
func (u *UsedForm) Error() string { return u.message }

// Unwrap is the coded form.
func (u *UsedForm) Unwrap() error { return coldkeep.Errorf(coldkeep.ECONFLICT, "%s", u.message) }

// sentForm is what a form would record, before anything is filled in. How its warnings were
// answered is no part of it.
func sentForm(by auth.Principal, d Dose, key string) (SentForm, error) {
	if key == "" {
		return SentForm{}, nil
	}
	if len(key) > maxFormKey {
		return SentForm{}, coldkeep.Errorf(coldkeep.EINVALID, "Form: its key is too long.")
	}
	b, err := json.Marshal(d)
	if err != nil {
		return SentForm{}, coldkeep.Wrap(err, coldkeep.EINTERNAL, "immunization.sentForm", "dose")
	}
	sum := sha256.Sum256(b)
	return SentForm{Form: by.ID + "/" + key, Sent: hex.EncodeToString(sum[:])}, nil
}

// sentBefore gives the dose that a form has recorded already; nil when it has recorded none.
// It is asked under the person's lock, so that of two forms that come at once one waits.
func (s *Service) sentBefore(ctx context.Context, tx Tx, f SentForm) (*Dose, error) {
	if f.Form == "" {
		return nil, nil
	}
	was, err := tx.DoseForm(ctx, f.Form)
	if coldkeep.ErrorCode(err) == coldkeep.ENOTFOUND {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d, err := tx.Dose(ctx, was.Dose)
	if err != nil {
		return nil, err
	}
	if was.Sent != f.Sent {
		return nil, &UsedForm{fmt.Sprintf("This form has recorded a dose already: %s on %s. If this is another dose, send it again.", s.codes.Name(d.CVX), d.Date)}
	}
	return &d, nil
}
