// Command cmd runs a receiver of webhooks that prints what it gets, one line a
// body.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coldkeep/coldkeep/internal/webhookfake"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8091", "address to listen on")
	flag.Parse()
	r, err := webhookfake.New(*addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	r.OnRequest(func(req webhookfake.Request) { fmt.Printf("%s\n", req.Body) })
	fmt.Fprintln(os.Stderr, "webhook receiver on", r.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	r.Close()
}
