package demo

import (
	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/sample"
)

// SenderName and SenderToken are the demo's EHR, which sends HL7 for Lakeside.
const (
	SenderName  = "Lakeside EHR"
	SenderToken = "lakeside-ehr-demo-token"
)

const senderSite = coldkeep.SiteID("lakeside")

// sender lets the EHR of a clinic in and has it send some messages.
func (f *furnisher) sender() error {
	if err := f.s.Auth.EnsureSiteAccount(f.ctx, SenderName, SenderToken, senderSite, auth.ScopeRecords); err != nil {
		return err
	}
	ehr, err := f.s.Auth.Account(f.ctx, SenderToken)
	if err != nil {
		return err
	}
	agreed, err := f.s.Exchange.Sender(f.ctx, ehr, ehr.ID)
	if err != nil || agreed.Revision > 0 {
		return err
	}
	admin := auth.Principal{ID: f.by.ID, Name: f.by.Name, Role: auth.StateAdmin}
	if _, err := f.s.Exchange.PutSender(f.ctx, admin, exchange.Sender{Account: ehr.ID, Production: true, Answers: exchange.Always, Deducts: true}); err != nil {
		return err
	}
	for _, m := range sample.Messages(f.s.Clock.Now(), string(senderSite)) {
		if _, err := f.s.Exchange.Submit(f.ctx, ehr, exchange.Submission{Door: exchange.HTTP, Text: []byte(m)}); err != nil {
			return err
		}
	}
	return nil
}
