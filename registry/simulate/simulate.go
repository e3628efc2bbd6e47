// Package simulate makes a population for tests, demonstrations and benchmarks:
// families with their addresses, moves and changes of name, the doses they were given
// over their lives, and second records of some of them with the errors that people make
// at a keyboard, labelled so that matching can be measured.
//
// Nobody in it exists. Names are drawn from tables of common names, telephone numbers
// are in area codes that the North American plan keeps back (N9X), e-mail addresses in
// example.org. The same seed and day give the same population, however many workers
// make it.
package simulate

import (
	"context"
	"runtime"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/immunization"
	"github.com/coldkeep/coldkeep/registry/patient"
)

// Config says what is made. The zero value of a field is its default.
type Config struct {
	Seed       uint64
	Patients   int           // records in all, duplicates among them
	Practices  int           // one for 2,500 patients, at least 2
	Duplicates float64       // share of the records that are second records of somebody, 0 to 0.5
	Today      coldkeep.Date // the day on which the population is looked at; it must be set
}

// Record is one record of the registry to be.
type Record struct {
	Patient patient.Patient
	Doses   []immunization.Dose // by date
	Truth   string              // who it is: two records with one Truth are one person
	Second  bool                // another practice's record of somebody who has one
	Errors  []string            // what makes a second record differ, such as "given-typo"
}

// Population makes records.
type Population struct {
	Config
	practices []Practice
	byTown    [][]int // practices of a town, each at least the nearest
	ages      ages
}

// New makes a population of what c says. A count or share that cannot be is EINVALID.
func New(c Config) (*Population, error) {
	if c.Patients < 0 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%d patients cannot be simulated", c.Patients)
	}
	if c.Duplicates < 0 || c.Duplicates > 0.5 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "a share of %g duplicates: want 0 to 0.5", c.Duplicates)
	}
	if y, _, _ := c.Today.Civil(); !c.Today.Known() || y < 2010 || y > 2100 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "the day of the simulation must lie between 2010 and 2100")
	}
	if c.Practices < 0 || c.Practices > 5000 {
		return nil, coldkeep.Errorf(coldkeep.EINVALID, "%d practices: want up to 5000", c.Practices)
	}
	if c.Practices == 0 {
		c.Practices = min(5000, max(2, c.Patients/2500))
	}
	p := &Population{Config: c, ages: newAges()}
	p.foundPractices()
	return p, nil
}

// perBatch is how many households a worker makes at a time: enough that handing them
// over costs nothing, few enough that memory stays small.
const perBatch = 64

// Each makes the records and hands them to yield one after the other, by one goroutine,
// in an order that depends on the seed alone. workers below 1 means one a core. It stops
// at the first error of yield and returns it, or that of ctx.
func (p *Population) Each(ctx context.Context, workers int, yield func(*Record) error) error {
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Each batch has a channel of its own; the queue of channels keeps their order.
	queue := make(chan chan []Record, 2*workers)
	free := make(chan struct{}, workers)
	go func() {
		defer close(queue)
		for first := uint64(0); ; first += perBatch {
			out := make(chan []Record, 1)
			select {
			case free <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case queue <- out:
			case <-ctx.Done():
				return
			}
			go func() {
				defer func() { <-free }()
				var batch []Record
				for h := first; h < first+perBatch; h++ {
					batch = append(batch, p.household(h)...)
				}
				out <- batch
			}()
		}
	}()
	for made := 0; made < p.Patients; {
		var batch []Record
		select {
		case <-ctx.Done():
			return ctx.Err()
		case out, ok := <-queue:
			if !ok {
				return ctx.Err()
			}
			batch = <-out
		}
		for i := range batch {
			if made == p.Patients {
				break
			}
			if err := yield(&batch[i]); err != nil {
				return err
			}
			made++
		}
	}
	return nil
}
