// Command exchange measures how many HL7 messages the registry answers at the size of a
// state on this machine:
//
//	go run ./bench/exchange [-engine postgres|sqlite] [-patients 100000] [-calls 1500] [-parallel 2] [-at URL|FOLDER]
//
// It starts a PostgreSQL of its own (as delivered, but without fsync) or takes a SQLite file,
// fills it with an invented population, and sends messages as the EHRs of its practices would:
// updates about people who are there (VXU with a dose), updates about newborns, and queries
// for a history (Z34) and for an evaluated history with a forecast (Z44). Each is measured
// from the text to the text of its answer, with everything that is written down of it: the
// record, the message, sender's figures and the entries of the audit trail.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/bench/population"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/forecast"
	"github.com/coldkeep/coldkeep/registry/hl7"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
	"github.com/coldkeep/coldkeep/registry/store"
	"github.com/coldkeep/coldkeep/registry/vaccine"
)

func main() {
	config := population.Flags()
	patients := flag.Int("patients", 100_000, "size to measure at")
	calls := flag.Int("calls", 1500, "messages of each kind")
	parallel := flag.Int("parallel", 2, "how many send at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, *config, *patients, *calls, *parallel); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, w io.Writer, c population.Config, patients, calls, parallel int) (err error) {
	fmt.Fprintln(w, population.Machine(c.Engine))
	server, err := population.Start(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	r, err := server.Registry(ctx, patients, os.Stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	fmt.Fprintln(w, r)
	b, err := open(ctx, r)
	if err != nil {
		return err
	}
	for _, kind := range []struct {
		name string
		text func(d *rand.Rand, s *sender) (string, error)
	}{{"VXU, a dose of who is there", b.update}, {"VXU, a newborn", b.newborn}, {"QBP Z34, history", b.history}, {"QBP Z44, evaluated with forecast", b.evaluated}} {
		if err := b.measure(ctx, w, kind.name, kind.text, calls, parallel, c.Seed); err != nil {
			return err
		}
	}
	fmt.Fprintln(w, population.Load())
	return nil
}

// sender is the EHR of a practice.
type sender struct {
	by auth.Principal
	n  int
}

type bench struct {
	st       *store.Store
	exchange *exchange.Service
	senders  []*sender
	ids      []string
	mu       sync.Mutex
	control  int
}

// open gives each practice an EHR in production.
func open(ctx context.Context, r *population.Registry) (*bench, error) {
	b := &bench{st: r.Store}
	clock := coldkeep.RealClock{}
	people := patient.New(b.st.Patients(), clock)
	doses := immunization.New(b.st.Immunizations(), forecast.NewLive(forecast.Builtin()), vaccine.Builtin(), clock)
	b.exchange = exchange.New(b.st.Exchange(), hl7.New(people, doses, clock, hl7.DefaultIdentity), clock, nil)
	accounts, err := auth.New(b.st.Auth(), clock)
	if err != nil {
		return nil, err
	}
	admin := auth.Principal{ID: "bench", Name: "Bench", Role: auth.StateAdmin}
	for _, site := range r.People.Sites()[:min(40, len(r.People.Sites()))] {
		a, _, err := accounts.AddAccount(ctx, admin, fmt.Sprintf("EHR of %s, %d", site.ID, time.Now().UnixMilli()), site.ID, []string{auth.ScopeRecords})
		if err != nil {
			return nil, err
		}
		if _, err := b.exchange.PutSender(ctx, admin, exchange.Sender{Account: a.ID, Production: true, Answers: exchange.Always, Deducts: true}); err != nil {
			return nil, err
		}
		b.senders = append(b.senders, &sender{by: auth.Principal{ID: a.ID, Name: a.Name, Site: site.ID, Scopes: a.Scopes}})
	}
	rows, err := r.DB.QueryContext(ctx, `SELECT id FROM patients WHERE head = id AND locked = 0 ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // Err below tells
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		b.ids = append(b.ids, id)
	}
	return b, rows.Err()
}

// measure sends messages of one kind from several at once.
func (b *bench) measure(ctx context.Context, w io.Writer, name string, text func(*rand.Rand, *sender) (string, error), calls, parallel int, seed uint64) error {
	type job struct {
		by   auth.Principal
		text string
	}
	dice := rand.New(rand.NewPCG(seed, uint64(len(name)))) //nolint:gosec // nothing here is secret
	jobs := make([]job, 0, calls)
	for range calls {
		s := b.senders[dice.IntN(len(b.senders))]
		t, err := text(dice, s)
		if err != nil {
			return err
		}
		jobs = append(jobs, job{s.by, t})
	}
	took, answers := make([]time.Duration, calls), map[string]int{}
	var group sync.WaitGroup
	var failed error
	next := make(chan int)
	start := time.Now()
	for range parallel {
		group.Go(func() {
			for i := range next {
				begin := time.Now()
				answer, err := b.exchange.Submit(ctx, jobs[i].by, exchange.Submission{Door: exchange.HTTP, Text: []byte(jobs[i].text)})
				took[i] = time.Since(begin)
				b.mu.Lock()
				if err != nil {
					failed = err
				}
				answers[said(string(answer))]++
				b.mu.Unlock()
			}
		})
	}
	for i := range jobs {
		next <- i
	}
	close(next)
	group.Wait()
	all := time.Since(start)
	slices.Sort(took)
	at := func(q float64) time.Duration {
		return took[min(calls-1, int(q*float64(calls)))].Round(10 * time.Microsecond)
	}
	fmt.Fprintf(w, "  %-34s %7.0f/s  p50 %9s  p95 %9s  p99 %9s  longest %9s  %v\n", name, float64(calls)/all.Seconds(), at(0.5), at(0.95), at(0.99), took[calls-1].Round(10*time.Microsecond), answers)
	return failed
}

// said is MSA-1 and the profile of an answer.
func said(answer string) string {
	out := ""
	for line := range strings.SplitSeq(answer, "\r") {
		f := strings.Split(line, "|")
		switch {
		case f[0] == "MSH" && len(f) > 20:
			out = strings.TrimSuffix(f[20], "^CDCPHINVS")
		case f[0] == "MSA" && len(f) > 1:
			out += " " + f[1]
		}
	}
	return out
}

func (b *bench) msh(kind, profile string) string {
	b.control++
	return fmt.Sprintf(`MSH|^~\&|EHR|CLINIC|COLDKEEP|IIS|%s||%s|B%d|P|2.5.1|||ER|AL|||||%s^CDCPHINVS|CLINIC|IIS`, time.Now().Format("20060102150405-0700"), kind, b.control, profile)
}

func (b *bench) somebody(d *rand.Rand) (patient.Patient, error) {
	return b.st.Patient(context.Background(), b.ids[d.IntN(len(b.ids))])
}

func ymd(d coldkeep.Date) string { return strings.ReplaceAll(d.String(), "-", "") }

// identity writes PID, as far as the registry knows the person.
func identity(p *patient.Patient) string {
	n, home, phone := p.Name(), p.Home(), ""
	for _, c := range p.Contacts {
		if c.Until == nil && c.Kind != patient.Email && len(c.Value) == 10 {
			phone = "^PRN^PH^^^" + c.Value[:3] + "^" + c.Value[3:]
		}
	}
	address := ""
	if home != nil {
		address = strings.Join([]string{home.Street, home.Street2, home.City, home.State, home.ZIP, "USA", "H"}, "^")
	}
	mother := ""
	if p.Mother != "" {
		mother = p.Mother + "^^^^^^M"
	}
	return fmt.Sprintf(`PID|1||%s^^^EHR^MR||%s^%s^%s^^^^L|%s|%s|%s|||%s||%s`, p.ID[10:], n.Family, n.Given, n.Middle, mother, ymd(p.Birth), p.Sex, address, phone)
}

// update is a dose of somebody who is there.
func (b *bench) update(d *rand.Rand, s *sender) (string, error) {
	p, err := b.somebody(d)
	if err != nil {
		return "", err
	}
	day := coldkeep.DateOf(time.Now()) - coldkeep.Date(1+d.IntN(5))
	return b.vxu(identity(&p), s, max(day, p.Birth)), nil
}

func (b *bench) vxu(pid string, s *sender, day coldkeep.Date) string {
	s.n++
	on := ymd(day)
	return strings.Join([]string{b.msh("VXU^V04^VXU_V04", "Z22"), pid, `PD1|||||||||||02^^HL70215|N|` + on + `|||A|` + on,
		fmt.Sprintf(`ORC|RE||B%d^EHR|||||||^Clerk^Kim||1^Lee^Ann^^^^MD`, s.n),
		`RXA|0|1|` + on + `||150^Influenza^CVX|0.5|mL^^UCUM||00^^NIP001|2^Hale^Marcus|^^^CLINIC||||L77|20301231|SKB^GSK^MVX|||CP|A`, `RXR|C28161^^NCIT|LA^^HL70163`,
		`OBX|1|CE|64994-7^Eligibility^LN|1|V01^^HL70064||||||F|||` + on + `|||VXC40^^CDCPHINVS`,
		`OBX|2|CE|69764-9^Document^LN|2|253088698300008811210806^^cdcgs1vis||||||F|||` + on, `OBX|3|DT|29769-7^Presented^LN|2|` + on + `||||||F|||` + on}, "\r") + "\r"
}

// newborn is somebody whom nobody has heard of.
func (b *bench) newborn(d *rand.Rand, s *sender) (string, error) {
	p, err := b.somebody(d)
	if err != nil {
		return "", err
	}
	n := p.Name()
	id := strings.ToLower(ulid.Make().String())
	born := coldkeep.DateOf(time.Now()) - coldkeep.Date(1+d.IntN(60))
	given := string(rune('A'+d.IntN(26))) + string(rune('a'+d.IntN(26))) + "l" + string(rune('a'+d.IntN(26)))
	pid := fmt.Sprintf(`PID|1||%s^^^EHR^MR||%s^%s^^^^^L|%s^^^^^^M|%s|F|||%d New St^^Springfield^IL^62701^USA^H||^PRN^PH^^^217^555%04d`, id[10:], n.Family, given, n.Family, ymd(born), d.IntN(9000), d.IntN(10000))
	return b.vxu(pid, s, born), nil
}

func (b *bench) query(d *rand.Rand, profile, words string) (string, error) {
	p, err := b.somebody(d)
	if err != nil {
		return "", err
	}
	f := strings.Split(identity(&p), "|")
	qpd := []string{profile + "^" + words + "^CDCPHINVS", "T1", "", f[5], f[6], f[7], f[8], f[11], f[13]}
	return strings.Join([]string{b.msh("QBP^Q11^QBP_Q11", profile), "QPD|" + strings.Join(qpd, "|"), "RCP|I|5^RD^HL70126"}, "\r") + "\r", nil
}

func (b *bench) history(d *rand.Rand, _ *sender) (string, error) {
	return b.query(d, "Z34", "Request Immunization History")
}

func (b *bench) evaluated(d *rand.Rand, _ *sender) (string, error) {
	return b.query(d, "Z44", "Request Evaluated History and Forecast")
}
