package recall

import (
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// TextKind says what a text is for.
type TextKind string

// The kinds of texts.
const (
	LetterText     TextKind = "letter"      // in a closed envelope
	ColdLetterText TextKind = "cold-letter" // likewise, after a break of the cold chain
	PostcardText   TextKind = "postcard"    // anybody may read it
	EmailText      TextKind = "email"       // likewise
	SMSText        TextKind = "sms"         // likewise
)

// TextKinds lists them.
func TextKinds() []TextKind {
	return []TextKind{LetterText, ColdLetterText, PostcardText, EmailText, SMSText}
}

// Languages lists those that there are texts in.
func Languages() []string { return []string{"en", "es"} }

// Open reports whether others than who it is for may read such a text.
func (k TextKind) Open() bool { return k != LetterText && k != ColdLetterText }

// Title is the kind in words.
func (k TextKind) Title() string {
	switch k {
	case LetterText:
		return "Letter"
	case ColdLetterText:
		return "Letter after a break of the cold chain"
	case PostcardText:
		return "Postcard"
	case EmailText:
		return "E-mail"
	case SMSText:
		return "Text message"
	}
	return string(k)
}

// Fields lists what a text of the kind may name, in braces. A text that others may read has
// fields of the practice alone: there is none by which a patient's could get into it.
func (k TextKind) Fields() []string {
	of := []string{"clinic", "phone"}
	switch k {
	case LetterText:
		return append(of, "date", "guardian", "names", "vaccines")
	case ColdLetterText:
		return append(of, "date", "guardian", "names", "vaccines", "given")
	}
	return of
}

// most is how long a text may be.
func (k TextKind) most() int {
	switch k {
	case SMSText:
		return 220 // with the clinic's name and number and the stop word, two messages at most
	case PostcardText, EmailText:
		return 900
	}
	return 3000
}

// Text is what a notice says.
type Text struct {
	Site     coldkeep.SiteID
	Kind     TextKind
	Language string
	Revision int64 // 0: it comes with the program
	Subject  string
	Body     string
	By       string
	At       time.Time
}

var braces = regexp.MustCompile(`\{[^{}]*\}?|\}`)

// telling are words that an open text must not have: of vaccines, of the diseases that they
// are for, and of care as such. English and Spanish, folded; the beginnings of words.
var telling = []string{"VACCIN", "VACUN", "IMMUNI", "INMUNI", "SHOT", "INJECT", "INYEC", "DOSE", "DOSIS", "BOOSTER", "REFUERZO", "POLIO", "MEASLES", "SARAMPION", "MUMPS", "PAPERAS",
	"RUBEL", "VARICEL", "CHICKENPOX", "HEPATIT", "PAPILOMA", "PAPILLOMA", "MENINGO", "PNEUMO", "NEUMO", "INFLUENZA", "GRIPE", "COVID", "CORONAVIRUS", "DIPHTHER", "DIFTER", "TETAN", "PERTUS",
	"WHOOPING", "TOSFERINA", "ROTAVIR", "ZOSTER", "SHINGLES", "CULEBRILLA", "HERPES", "DENGUE", "RABIES", "RABIA", "TYPHOID", "TIFOIDEA", "CHOLERA", "COLERA", "SMALLPOX", "VIRUELA", "MPOX",
	"DIAGNOS", "DISEASE", "ENFERMEDAD", "INFECT", "INFECC", "VIRUS", "BACTERI", "PREGNAN", "EMBARAZ"}

// tellingWhole are such words that are the beginning of harmless ones as well.
var tellingWhole = []string{"FLU", "MMR", "MMRV", "DTAP", "TDAP", "DTP", "HPV", "VPH", "HIB", "HEPA", "HEPB", "RSV", "VRS", "PCV", "PPSV", "IPV", "HIV", "VIH", "TB", "TD", "SHOTS"}

// Check says what is wrong with a text, as EINVALID: a field that there is none of in this
// kind, too many letters, or, of one that others may read, a word that tells of a vaccine or
// a disease.
func (t *Text) Check() error {
	if !slices.Contains(TextKinds(), t.Kind) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Kind %q: there is no such text.", t.Kind)
	}
	if !slices.Contains(Languages(), t.Language) {
		return coldkeep.Errorf(coldkeep.EINVALID, "Language %q: want en or es.", t.Language)
	}
	t.Subject = strings.Join(strings.Fields(t.Subject), " ")
	t.Body = strings.TrimSpace(strings.ReplaceAll(t.Body, "\r\n", "\n"))
	switch {
	case t.Body == "":
		return coldkeep.Errorf(coldkeep.EINVALID, "Text: is empty.")
	case utf8.RuneCountInString(t.Body) > t.Kind.most():
		return coldkeep.Errorf(coldkeep.EINVALID, "Text: %d characters, want at most %d.", utf8.RuneCountInString(t.Body), t.Kind.most())
	case t.Kind == SMSText && t.Subject != "":
		return coldkeep.Errorf(coldkeep.EINVALID, "Subject: a text message has none.")
	case t.Kind == EmailText && t.Subject == "":
		return coldkeep.Errorf(coldkeep.EINVALID, "Subject: an e-mail needs one.")
	case len(t.Subject) > 120:
		return coldkeep.Errorf(coldkeep.EINVALID, "Subject: want at most 120 characters.")
	}
	allowed := t.Kind.Fields()
	for _, f := range braces.FindAllString(t.Subject+"\n"+t.Body, -1) {
		name := strings.TrimSuffix(strings.TrimPrefix(f, "{"), "}")
		if "{"+name+"}" != f || !slices.Contains(allowed, name) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Field %.40s: want one of {%s}.", f, strings.Join(allowed, "}, {"))
		}
	}
	for _, f := range []string{"{clinic}", "{phone}"} {
		if !strings.Contains(t.Body, f) {
			return coldkeep.Errorf(coldkeep.EINVALID, "Text: %s is missing: who gets it must know whom to call.", f)
		}
	}
	if t.Kind.Open() {
		if w := tells(t.Subject + " " + t.Body); w != "" {
			return coldkeep.Errorf(coldkeep.EINVALID, "Text: the word %q tells others about care. Ask to call about an appointment, no more.", w)
		}
	}
	return nil
}

// tells finds a word that must not be in a text that others may read; "" when there is none.
func tells(text string) string {
	for w := range strings.FieldsSeq(text) {
		for _, f := range strings.Fields(patient.Fold(w)) {
			if slices.Contains(tellingWhole, f) || slices.ContainsFunc(telling, func(t string) bool { return strings.HasPrefix(f, t) }) {
				return w
			}
		}
	}
	return ""
}

// fill puts values in place of the fields. A value is never read for fields itself.
func (t *Text) fill(values map[string]string) (subject, body string) {
	pairs := make([]string, 0, 2*len(values))
	for _, k := range t.Kind.Fields() {
		pairs = append(pairs, "{"+k+"}", values[k])
	}
	r := strings.NewReplacer(pairs...)
	return r.Replace(t.Subject), r.Replace(t.Body)
}

// builtin are the texts that come with the program.
func builtin(kind TextKind, language string) Text {
	t := Text{Kind: kind, Language: language}
	switch string(kind) + " " + language {
	case "letter en":
		t.Subject = "Time for an appointment"
		t.Body = `Dear {guardian},

Our records show that it is time for the next immunizations of:

{names}

Due: {vaccines}.

Please call {clinic} at {phone} to make an appointment. If these immunizations were given elsewhere, please bring the record with you or tell us by telephone, so that we can complete ours.

If you would rather not get letters like this one, tell us and we will note it.

Sincerely,
{clinic}`
	case "letter es":
		t.Subject = "Es hora de hacer una cita"
		t.Body = `Estimado/a {guardian}:

Según nuestros registros, es hora de las próximas vacunas de:

{names}

Pendiente: {vaccines}.

Por favor llame a {clinic} al {phone} para hacer una cita. Si estas vacunas se pusieron en otro lugar, traiga el comprobante o avísenos por teléfono para completar nuestro registro.

Si prefiere no recibir cartas como esta, díganoslo y lo anotaremos.

Atentamente,
{clinic}`
	case "cold-letter en":
		t.Subject = "A dose that needs to be looked at again"
		t.Body = `Dear {guardian},

We are writing about:

{names}

On {given} we gave the following at our clinic: {vaccines}. We have since found that the refrigerator in which this vaccine had been kept was out of its temperature range. Vaccine that was too warm or too cold is not known to do harm, but it may not protect as it should. The dose should not be counted on, and may have to be given again.

Please call {clinic} at {phone} and mention this letter. We will tell you whether a dose has to be repeated and find an early time for you. There is no charge for a repeated dose.

We are sorry for the trouble.

Sincerely,
{clinic}`
	case "cold-letter es":
		t.Subject = "Una dosis que hay que revisar"
		t.Body = `Estimado/a {guardian}:

Le escribimos acerca de:

{names}

El {given} pusimos en nuestra clínica: {vaccines}. Después supimos que el refrigerador donde se guardaba esta vacuna estuvo fuera de su rango de temperatura. No se sabe que una vacuna que estuvo demasiado caliente o fría haga daño, pero puede no proteger como debería. No se debe contar con esa dosis, y quizás haya que repetirla.

Por favor llame a {clinic} al {phone} y mencione esta carta. Le diremos si hay que repetir la dosis y le daremos una cita pronto. Repetirla no tiene costo.

Lamentamos la molestia.

Atentamente,
{clinic}`
	case "postcard en":
		t.Body = "Please call {clinic} at {phone} about an appointment.\n\nThank you."
	case "postcard es":
		t.Body = "Por favor llame a {clinic} al {phone} para hacer una cita.\n\nGracias."
	case "email en":
		t.Subject = "Please call {clinic}"
		t.Body = "Hello,\n\nplease call {clinic} at {phone} about an appointment.\n\nThank you,\n{clinic}"
	case "email es":
		t.Subject = "Por favor llame a {clinic}"
		t.Body = "Hola:\n\npor favor llame a {clinic} al {phone} para hacer una cita.\n\nGracias,\n{clinic}"
	case "sms en":
		t.Body = "{clinic}: please call {phone} about an appointment."
	case "sms es":
		t.Body = "{clinic}: por favor llame al {phone} para hacer una cita."
	}
	return t
}

// ending is what the program itself adds below an electronic notice: how to get no more.
func ending(ch Channel, language, link string) string {
	switch {
	case ch == SMS && language == "es":
		return " Responda ALTO para no recibir más."
	case ch == SMS:
		return " Reply STOP to get no more."
	case link == "" && language == "es":
		return "\n\n--\nPara no recibir más correos como este, dígalo a la clínica."
	case link == "":
		return "\n\n--\nTo get no more e-mails like this one, tell the clinic."
	case language == "es":
		return "\n\n--\nPara no recibir más correos como este: " + link
	}
	return "\n\n--\nTo get no more e-mails like this one: " + link
}

// IsStop reports whether an answer to a text message asks for no more of them: the words
// that carriers take for it in English, and the Spanish ones.
func IsStop(answer string) bool {
	f := strings.Fields(patient.Fold(answer))
	return len(f) > 0 && slices.Contains([]string{"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "ALTO", "PARE", "PARAR", "BASTA", "CANCELAR"}, f[0])
}
