package main

import (
	"github.com/coldkeep/coldkeep/alerts/channel/email"
	"github.com/coldkeep/coldkeep/alerts/channel/sms"
	"github.com/coldkeep/coldkeep/registry"
)

// smtpFlags say by which server alerts, and notices to families, are mailed.
type smtpFlags struct {
	SMTPHost         string `help:"Mail server for alerts and notices; none: no e-mail." env:"COLDKEEP_SMTP_HOST"`
	SMTPPort         int    `help:"Its port; 0 is 587, or 465 with implicit TLS." env:"COLDKEEP_SMTP_PORT"`
	SMTPTLS          string `help:"How the connection is protected: mandatory, opportunistic, implicit or none." enum:"mandatory,opportunistic,implicit,none" default:"mandatory" name:"smtp-tls" env:"COLDKEEP_SMTP_TLS"`
	SMTPUser         string `help:"User to sign in as." env:"COLDKEEP_SMTP_USER"`
	SMTPPasswordFile string `help:"File with the password." env:"COLDKEEP_SMTP_PASSWORD_FILE"`
	SMTPFrom         string `help:"Sender of alerts and notices." env:"COLDKEEP_SMTP_FROM"`
	SMTPCAFile       string `help:"Authorities (PEM) that sign its certificate, in place of the system's." name:"smtp-ca-file" env:"COLDKEEP_SMTP_CA_FILE"`
}

func (f *smtpFlags) mail() (*email.Channel, error) {
	return email.New(email.Config{Host: f.SMTPHost, Port: f.SMTPPort, TLS: email.TLS(f.SMTPTLS), User: f.SMTPUser, PasswordFile: f.SMTPPasswordFile, From: f.SMTPFrom, RootsFile: f.SMTPCAFile})
}

// smsFlags say by which carrier's gateway text messages to families go out.
type smsFlags struct {
	SMSGateway    string `help:"Address of a carrier's gateway that text messages to families are posted to; none: no text messages." name:"sms-gateway" env:"COLDKEEP_SMS_GATEWAY"`
	SMSSecretFile string `help:"File with the secret that signs what goes to the gateway and the answers that come from it." name:"sms-secret-file" env:"COLDKEEP_SMS_SECRET_FILE"`
}

// families sets up what reminders and recalls are sent by.
func families(c *registry.Config, m *smtpFlags, s *smsFlags) error {
	if m.SMTPHost != "" {
		mail, err := m.mail()
		if err != nil {
			return err
		}
		c.Notifiers = append(c.Notifiers, mail)
	}
	if s.SMSGateway == "" {
		return nil
	}
	secret, err := readSecret(s.SMSSecretFile)
	if err != nil {
		return err
	}
	c.SMSSecret = []byte(secret)
	text, err := sms.New(sms.Config{URL: s.SMSGateway, Secret: c.SMSSecret})
	if err != nil {
		return err
	}
	c.Notifiers = append(c.Notifiers, text)
	return nil
}
