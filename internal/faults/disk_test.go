package faults

import (
	"fmt"
	"syscall"
	"time"

	"github.com/coldkeep/coldkeep/internal/servers"
)

// diskFull takes all room of a server's disk for a while. Nothing may be
// acknowledged that is not stored, and the collector says that it cannot store.
func diskFull(r *rig, folder string) string {
	r.stream()
	r.at(0.3)
	free := r.fill(folder)
	told := r.toldStuck()
	r.at(0.8)
	before := r.fleet.Acked()
	free()
	if folder == "influx" {
		// InfluxDB 1.8 keeps the error of its write-ahead log until it is restarted
		// (bufio.Writer holds on to the first one), as its operator would find.
		r.influx.Stop(syscall.SIGTERM)
		r.restart(r.influx)
	}
	return fmt.Sprintf("full over half of the time; %d of %d records acknowledged then; /readyz %s", before, r.fleet.Produced(), told)
}

// toldStuck waits until /readyz says no.
func (r *rig) toldStuck() string {
	r.Helper()
	err := servers.Until(r.ctx, 20*time.Second, func() error {
		if ok, _ := r.state(r.ctx); ok {
			return fmt.Errorf("it says that all is well")
		}
		return nil
	})
	if err != nil {
		r.Errorf("the disk is full, and /readyz: %v", err)
		return "says nothing"
	}
	return "says so"
}

// diskFullPostgres is the same under PostgreSQL, which ends itself when it has no
// room for its log.
func diskFullPostgres(r *rig) string {
	r.stream()
	r.at(0.3)
	free := r.fill("postgres")
	told := r.toldStuck()
	r.at(0.8)
	free()
	kill9(r.postgres)
	r.restart(r.postgres)
	return "/readyz " + told
}

// diskFullAgent takes the room of the real agent's disk. What a probe says while
// nothing can be written has no place; the log that the agent plays here waits.
func diskFullAgent(r *rig) string {
	r.stream()
	r.at(0.3)
	free := r.fill("agent")
	r.at(0.7)
	free()
	select {
	case <-r.agent.Done(): // it may give up, as a service that systemd starts again
		r.agent.Kill()
		r.startAgent()
		return "the agent ended and was started again"
	default:
		return "the agent went on"
	}
}
