package ingest

import "time"

// Quicken makes the intake try again and pause for shorter times than it does at
// work.
func (in *Ingest) Quicken() { in.retry, in.pause = 5*time.Millisecond, 2*time.Millisecond }

// QueueBytes is the bound of all queues together.
func (in *Ingest) QueueBytes() int64 { return int64(len(in.queues)) * queueBytes }
