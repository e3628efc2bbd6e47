// Command cmd runs an SMTP server that delivers nothing and prints what it gets.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coldkeep/coldkeep/internal/smtpfake"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:1025", "address to listen on")
	flag.Parse()
	s, err := smtpfake.New(smtpfake.Config{Addr: *addr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	s.OnMessage(func(m smtpfake.Message) { fmt.Printf("from %s to %v\n%s\n", m.From, m.To, m.Data) })
	fmt.Fprintln(os.Stderr, "fake SMTP server on", *addr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	s.Close()
}
