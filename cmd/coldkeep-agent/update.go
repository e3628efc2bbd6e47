package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/firmware"
	"github.com/coldkeep/coldkeep/firmware/systemd"
	"github.com/coldkeep/coldkeep/firmware/update"
)

// releases says where new versions come from and go to.
type releases struct {
	URL  string `name:"update-url" help:"Address of the signed manifest of the latest release; none unless given." placeholder:"URL" env:"COLDKEEP_UPDATE_URL"`
	Keys string `name:"update-keys" help:"File of the public keys that sign releases (${default})." default:"/etc/coldkeep-agent/update.pub" placeholder:"FILE" env:"COLDKEEP_UPDATE_KEYS"`
	Dir  string `name:"update-dir" help:"Folder of the two slots; DIR of --data with /update unless given." placeholder:"DIR" env:"COLDKEEP_UPDATE_DIR"`
}

// slots opens the folder of updates. factory is the version of the system's own
// program.
func (r *releases) slots(data, factory string, log *slog.Logger) (*update.Slots, error) {
	s := &update.Slots{Dir: r.Dir, Factory: factory, Log: log}
	if s.Dir == "" {
		s.Dir = filepath.Join(data, "update")
	}
	text, err := os.ReadFile(r.Keys)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil // nothing is believed
	}
	if err == nil {
		s.Keys, err = update.ParseKeys(text)
	}
	return s, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "", "--update-keys %s cannot be read", r.Keys)
}

// factoryEnv hands the version of the system's own program from the launcher to the
// program that it starts.
const factoryEnv = "COLDKEEP_FACTORY_VERSION"

func factory() string {
	if v, ok := os.LookupEnv(factoryEnv); ok {
		return v
	}
	return programVersion()
}

// How often a device looks for a release by itself, and how soon after its start; a
// third of it at random, so that not all of them come at once.
const (
	lookEvery = 24 * time.Hour
	lookFirst = time.Hour
)

// attend joins the agent with the service manager and the updates. stop ends the agent
// so that the launcher starts what was installed.
func (c *runCmd) attend(ctx context.Context, cfg *firmware.Config, stop func()) error {
	log := cfg.Log
	if every := systemd.WatchdogEvery(); every > 0 {
		cfg.AliveEvery = every
		cfg.Alive = func() { tell(log, systemd.Watchdog) }
	}
	slots, err := c.Updates.slots(c.Data, factory(), log)
	if err != nil {
		return err
	}
	cfg.Healthy = func() {
		switch ok, err := slots.Confirm(programVersion()); {
		case err != nil:
			log.Error("update works and cannot be confirmed", "err", err)
		case ok:
			log.Info("update is confirmed: the collector has acknowledged a reading of it", "version", programVersion())
		}
	}
	if c.Updates.URL == "" {
		return nil
	}
	if _, err := update.ParseURL(c.Updates.URL); err != nil {
		return usageError{err}
	}
	asked := make(chan struct{}, 1)
	cfg.Update = func() {
		select {
		case asked <- struct{}{}:
		default: // it looks soon
		}
	}
	u := &update.Updater{Slots: slots, URL: c.Updates.URL, HTTP: client(cfg)}
	go func() {
		wait := lookFirst
		for {
			timer := time.NewTimer(wait - rand.N(wait/3))
			select {
			case <-ctx.Done():
				return
			case <-asked:
			case <-timer.C:
			}
			timer.Stop()
			wait = lookEvery
			if slots.Trial() != "" {
				continue // one thing at a time: this program is on trial itself
			}
			switch o, err := u.Look(ctx); {
			case err != nil:
				log.Warn("no update", "err", err)
			case o == nil:
				log.Info("no update: this is the latest version", "version", programVersion())
			default:
				log.Info("update is fetched", "version", o.Manifest.Version)
				if err := u.Take(ctx, o); err != nil {
					log.Warn("update is not taken", "version", o.Manifest.Version, "err", err)
					wait = lookFirst
					continue
				}
				log.Warn("update is there; the agent ends and is started anew", "version", o.Manifest.Version)
				stop()
				return
			}
		}
	}()
	return nil
}

// tell tells the service manager.
func tell(log *slog.Logger, state string) {
	if err := systemd.Notify(state); err != nil {
		log.Warn("service manager is not reached", "state", state, "err", err)
	}
}

// lively keeps the service manager content while something is done that may take days.
func lively(log *slog.Logger, do func() error) error {
	if every := systemd.WatchdogEvery(); every > 0 {
		tick := time.NewTicker(every)
		done := make(chan struct{})
		defer func() { tick.Stop(); close(done) }()
		go func() {
			for {
				select {
				case <-tick.C:
					tell(log, systemd.Watchdog)
				case <-done:
					return
				}
			}
		}()
	}
	return do()
}

// client trusts whom the flags say. A release is large and comes slowly over a clinic's
// line; only its head has to come soon.
func client(cfg *firmware.Config) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig, t.ResponseHeaderTimeout = cfg.TLS, 30*time.Second
	return &http.Client{Transport: t}
}

// updateCmd is `coldkeep-agent update`, for a person at the device.
type updateCmd struct {
	Data    string   `help:"Folder of the outbox (${default})." default:"/var/lib/coldkeep-agent" placeholder:"DIR" env:"COLDKEEP_DATA"`
	CAFile  string   `name:"ca-file" help:"Certificates (PEM) to trust, in place of the system's." placeholder:"FILE" env:"COLDKEEP_CA_FILE"`
	Check   bool     `help:"Only look; install nothing."`
	Updates releases `embed:""`
}

// updateState is what the command prints.
type updateState struct {
	Running   string `json:"running"`             // the version that is started when nothing is tried
	Slot      string `json:"slot"`                // "a", "b" or "system"
	Trial     string `json:"trial,omitempty"`     // the version that is tried at the next start
	Floor     string `json:"floor,omitempty"`     // nothing below it runs
	Available string `json:"available,omitempty"` // a release above the one that runs
}

// Run looks for a release, and installs it unless it is only to look. Exit 1 when
// there is none.
func (c *updateCmd) Run(ctx context.Context, log *slog.Logger, stdout io.Writer) error {
	slots, err := c.Updates.slots(c.Data, factory(), log)
	if err != nil {
		return err
	}
	if c.Updates.URL == "" {
		return usageError{coldkeep.Errorf(coldkeep.EINVALID, "--update-url is missing")}
	}
	if _, err := update.ParseURL(c.Updates.URL); err != nil {
		return usageError{err}
	}
	tls, err := (&runCmd{CAFile: c.CAFile}).tls()
	if err != nil {
		return err
	}
	u := &update.Updater{Slots: slots, URL: c.Updates.URL, HTTP: client(&firmware.Config{TLS: tls})}
	offer, err := u.Look(ctx)
	if err != nil {
		return err
	}
	if offer != nil && !c.Check {
		if err := u.Take(ctx, offer); err != nil {
			return err
		}
		log.Info("installed; restart the service to try it", "version", offer.Manifest.Version)
	}
	now, err := slots.Current()
	if err != nil {
		return err
	}
	st := updateState{Running: now.Version, Slot: now.Name, Trial: slots.Trial(), Floor: slots.Floor()}
	if st.Slot == "" {
		st.Slot = "system"
	}
	if offer != nil {
		st.Available = offer.Manifest.Version
	}
	if err := json.NewEncoder(stdout).Encode(st); err != nil {
		return err
	}
	if offer == nil {
		return noError{errors.New("there is no newer version")}
	}
	return nil
}

// launchCmd is `coldkeep-agent launch`, which the service starts. What it starts reads
// the same environment.
type launchCmd struct {
	Data          string        `help:"Folder of the outbox (${default})." default:"/var/lib/coldkeep-agent" placeholder:"DIR" env:"COLDKEEP_DATA"`
	ConfirmWithin time.Duration `help:"How long a new version has to get a reading acknowledged before the one before it is started again." default:"20m" env:"COLDKEEP_CONFIRM_WITHIN"`
	Updates       releases      `embed:""`
}

// Run starts what is to run, and becomes it.
func (c *launchCmd) Run(ctx context.Context, log *slog.Logger) error {
	slots, err := c.Updates.slots(c.Data, programVersion(), log)
	if err != nil {
		log.Error("no update can be believed; the system's own program is started", "err", err)
		slots = &update.Slots{Dir: c.Data, Factory: programVersion(), Log: log}
	}
	own, err := os.Executable()
	if err != nil {
		return coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "", "the path of this program is not known")
	}
	l := &update.Launcher{Slots: slots, Own: own, Args: []string{"run"}, Env: append(os.Environ(), factoryEnv+"="+programVersion()), ConfirmWithin: c.ConfirmWithin}
	return l.Run(ctx)
}
