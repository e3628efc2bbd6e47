package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/coldkeep/coldkeep"
	alertsapi "github.com/coldkeep/coldkeep/alerts/api"
	"github.com/coldkeep/coldkeep/gateway/api"
	"github.com/coldkeep/coldkeep/registry"
)

type registryCmd struct {
	Data               string   `help:"Folder for what is not in another database." default:"coldkeep-data" env:"COLDKEEP_DATA"`
	HTTP               string   `help:"Address of the screens and the API." default:"127.0.0.1:8080" name:"http" env:"COLDKEEP_HTTP"`
	Database           string   `help:"PostgreSQL URL, in place of the SQLite file." env:"COLDKEEP_REGISTRY_DATABASE"`
	CollectorURL       string   `help:"Address of the collector's read API, for charts and alerts." env:"COLDKEEP_COLLECTOR_URL"`
	APITokenFile       string   `help:"File with the token of the collector's read API." name:"api-token-file" env:"COLDKEEP_API_TOKEN_FILE"`
	CollectorTokenFile string   `help:"File with a token that the collector may sign in with." env:"COLDKEEP_REGISTRY_TOKEN_FILE"`
	DeviceBroker       string   `help:"Broker address that devices are told when they are let in." env:"COLDKEEP_DEVICE_BROKER"`
	SecureCookies      bool     `help:"Mark cookies Secure: set it where people come by HTTPS." env:"COLDKEEP_SECURE_COOKIES"`
	TrustedOrigin      []string `help:"Further origin whose pages may post forms, such as https://coldkeep.clinic.example." env:"COLDKEEP_TRUSTED_ORIGINS"`
	SFTP               string   `help:"Address of the HL7 intake over SFTP; empty serves none." name:"sftp" env:"COLDKEEP_SFTP"`
	sftpFlags          `embed:""`
	signInFlags        `embed:""`
	codesFlags         `embed:""`
	smtpFlags          `embed:""`
	smsFlags           `embed:""`

	Demo        bool   `help:"Furnish two invented clinics and print the passwords."`
	DemoSecrets string `help:"Folder for the demo devices' passwords, one file a device." default:"" placeholder:"DIR"`
}

// Run runs the registry alone.
func (cmd *registryCmd) Run(ctx context.Context, std streams, log *slog.Logger) error {
	token, err := readSecret(cmd.CollectorTokenFile)
	if err != nil {
		return err
	}
	unlock, err := lockFolder(cmd.Data, "registry")
	if err != nil {
		return err
	}
	defer unlock()
	db := cmd.Database
	if db == "" {
		db = filepath.Join(cmd.Data, "registry.db")
	}
	cfg := registry.Config{Database: db, Clock: coldkeep.RealClock{}, Log: log, CollectorToken: token, SecureCookies: cmd.SecureCookies, TrustedOrigins: cmd.TrustedOrigin, Broker: cmd.DeviceBroker}
	if err := cmd.signIn(&cfg, cmd.Demo); err != nil {
		return err
	}
	if err := families(&cfg, &cmd.smtpFlags, &cmd.smsFlags); err != nil {
		return err
	}
	if err := cmd.load(&cfg, log); err != nil {
		return err
	}
	kept := "" // several processes may serve one PostgreSQL database, and need the same key
	if cmd.Database == "" {
		kept = filepath.Join(cmd.Data, secretKeyFile)
	}
	if err := cmd.secrets(&cfg, kept); err != nil {
		return err
	}
	if cmd.CollectorURL != "" {
		apiToken, err := readSecret(cmd.APITokenFile)
		if err != nil {
			return err
		}
		inbox, err := alertsapi.NewClient(cmd.CollectorURL, apiToken)
		if err != nil {
			return err
		}
		collector := &api.Client{BaseURL: cmd.CollectorURL, Token: apiToken}
		cfg.Readings, cfg.Live, cfg.Inbox = collector, collector, inbox
		cfg.Devices, cfg.Latest, cfg.Verdicts, cfg.Channels = collector, collector, collector, inbox
	}
	r, err := registry.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // everything was committed
	if cmd.Demo {
		dir := cmd.DemoSecrets
		if dir == "" {
			dir = filepath.Join(cmd.Data, "devices")
		}
		secrets, err := deviceSecrets(dir)
		if err != nil {
			return err
		}
		people, err := r.FurnishDemo(ctx, secrets, "")
		if err != nil {
			return err
		}
		printPeople(std.err, people)
	}
	files, err := cmd.openSFTP(cmd.SFTP, cmd.Data, r, std.err)
	if err != nil {
		return err
	}
	files.announce(std.err)
	srv := newServer(log)
	srv.checks = []check{{name: "registry database", ask: r.Ready}}
	srv.mux.Handle("/", r.Handler())
	g, run := errgroup.WithContext(ctx)
	g.Go(func() error { return files.run(run) })
	g.Go(func() error { return srv.run(run, cmd.HTTP) })
	return ended(ctx, g.Wait())
}

func printPeople(w io.Writer, people []registry.DemoPerson) {
	fmt.Fprintln(w, "\nSign in as:")
	for _, p := range people {
		fmt.Fprintf(w, "  %-22s password %-22s %s, %s\n", p.Username, p.Password, p.Name, p.Role)
	}
	fmt.Fprintf(w, "An EHR sends HL7 as %q with the token %s.\n\n", registry.DemoSender, registry.DemoSenderToken)
}

// deviceSecrets reads the passwords of the demo's devices from dir, one file a
// device, and makes those that are missing.
func deviceSecrets(dir string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "deviceSecrets", "folder %s cannot be made", dir)
	}
	out := map[string]string{}
	for _, name := range registry.DemoDevices() {
		secret, err := keptSecret(secretFile(dir, name))
		if err != nil {
			return nil, err
		}
		out[name] = secret
	}
	return out, nil
}

// secretFile is where a device's password is kept: "site/agent" in one file name.
func secretFile(dir, device string) string {
	site, agent := filepath.Split(device)
	return filepath.Join(dir, filepath.Clean(site)+"_"+agent+".password")
}

// lockFolder makes a data folder and keeps other processes of the same part out of
// it until unlock or the process's end. One that is in use is EUNAVAILABLE.
func lockFolder(dir, part string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, part, "data folder %s cannot be made", dir)
	}
	f, err := os.OpenFile(filepath.Join(dir, part+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, part, "data folder %s cannot be written", dir)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close() // not locked, nothing written
		return nil, coldkeep.Errorf(coldkeep.EUNAVAILABLE, "data folder %s is in use by another coldkeep process", dir)
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

// keptSecret reads a secret from a file, or makes one and keeps it there.
func keptSecret(path string) (string, error) {
	if _, err := os.Stat(path); err == nil {
		return readSecret(path)
	}
	secret := randomHex(32)
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		return "", coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "keptSecret", "%s cannot be written", path)
	}
	return secret, nil
}
