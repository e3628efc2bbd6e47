package registry_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/databasetest"
	"github.com/coldkeep/coldkeep/registry/audit/review"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7"
)

// elsewhere are methods that ask who calls and that the tables do not try, each with why.
var elsewhere = map[string]string{
	// One's own account is everybody's who is signed in: registry/web/signin_test.go.
	"auth.End": "one's own", "auth.MySignIns": "one's own", "auth.MySites": "one's own", "auth.SwitchSite": "one's own", "auth.Sites": "one's own",
	"auth.ChangePassword": "one's own", "auth.HasTOTP": "one's own", "auth.NewTOTP": "one's own", "auth.ShowTOTP": "one's own", "auth.ConfirmTOTP": "one's own", "auth.RemoveTOTP": "one's own",
	"auth.NewRecoveryCodes": "one's own", "auth.RecoveryCodesLeft": "one's own", "auth.NewPasskey": "one's own", "auth.AddPasskey": "one's own", "auth.Passkeys": "one's own", "auth.RemovePasskey": "one's own",
	"enrolment.Accept": "one's own", "enrolment.Pending": "one's own",
	// They write in the trail what others have decided.
	"auth.RefusedRequest": "trail", "auth.AccountSignedIn": "trail", "patient.Refused": "trail", "patient.AskRefused": "trail", "patient.RefusedTold": "trail",
	// They are asked in the transaction of a message that package exchange has let in, and each asks
	// the gate of the record: TestPolicyOfExchange, and TestLocked of package hl7.
	"patient.AskTold": "message", "patient.TakeTold": "message", "patient.LockTold": "message", "patient.Resolve": "message, tried as ResolveAlone",
	"immunization.TakeTold": "message", "immunization.TakeBack": "message", "immunization.DrawTold": "message", "immunization.FactTold": "message", "immunization.ReactionTold": "message",
	"immunization.ViewTold": "message", "immunization.FindTold": "message", "immunization.ForgetTold": "message", "immunization.ForgetReaction": "message",
	// The rest, each with its own.
	"auth.Prepare":        "makes an account in the transaction of who approves a site, and says itself what by may",
	"immunization.Assign": "in the transaction of patient.UnmergePatients, which asks",
	"patient.May":         "is what is asked",
	"recall.Again":        "AgainAll asks the same; a notice that is Unsure takes a gateway: package recall",
	"recall.Waiting":      "takes the gate by which the record has opened",
}

// Every method of a service that is told who calls is tried by TestPolicyOfServices or by
// TestPolicyOfExchange, so that a new one cannot be forgotten.
func TestEveryMethodIsInPolicy(t *testing.T) {
	s := serviceOn(t, databasetest.SQLite(t))
	clock := coldkeep.RealClock{}
	tried := map[string]bool{}
	for _, m := range append(methodsOfUnits(), methods()...) {
		name, _, _ := strings.Cut(m.name, ",")
		tried[name] = true
	}
	for _, name := range exchangeMethods {
		tried["exchange."+name] = true
	}
	principal := reflect.TypeFor[auth.Principal]()
	var missing []string
	for pkg, service := range map[string]any{"patient": s.people, "immunization": s.doses, "recall": s.recall, "forms": s.forms, "vis": s.vis, "coverage": s.cover, "quality": s.quality, "schedules": s.sched,
		"onboarding": s.imports, "enrolment": s.enrol, "inventory": s.stock, "templog": s.log, "auth": s.auth, "review": review.New(s.store, clock),
		"exchange": exchange.New(s.store.Exchange(), hl7.New(s.people, s.doses, clock, hl7.DefaultIdentity), clock, nil)} {
		of := reflect.TypeOf(service)
		for i := range of.NumMethod() {
			m := of.Method(i)
			asks := false
			for k := 1; k < m.Type.NumIn(); k++ {
				asks = asks || m.Type.In(k) == principal
			}
			name := pkg + "." + m.Name
			if asks && !tried[name] && elsewhere[name] == "" {
				missing = append(missing, name)
			}
			if (!asks || tried[name]) && elsewhere[name] != "" {
				t.Errorf("%s need not be among the exceptions", name)
			}
		}
	}
	slices.Sort(missing)
	for _, name := range missing {
		t.Errorf("%s is in no table", name)
	}
}

var exchangeMethods = []string{"Submit", "SubmitFile", "Files", "Progress", "WriteAnswers", "Messages", "Message", "Senders", "Sender", "PutSender", "Reports", "Undeducted", "CountUndeducted", "Deduct", "Settle"}
