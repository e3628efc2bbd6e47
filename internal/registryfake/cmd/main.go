// Command cmd runs the fake registry: a collector can be pointed at it by hand. It
// prints everything that takes effect as JSON Lines.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/registryfake"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8090", "address to listen on")
	token := flag.String("token", "fake", "bearer token to accept")
	mirror := flag.String("mirror", "", "JSON file of the mirror to serve")
	flag.Parse()
	if err := run(*addr, *token, *mirror); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func run(addr, token, mirror string) error {
	r, err := registryfake.New(addr, token)
	if err != nil {
		return err
	}
	defer r.Close()
	if mirror != "" {
		b, err := os.ReadFile(mirror)
		if err != nil {
			return err
		}
		var m coldkeep.Mirror
		if err := json.Unmarshal(b, &m); err != nil {
			return fmt.Errorf("%s: %w", mirror, err)
		}
		r.SetMirror(m)
	}
	out := json.NewEncoder(os.Stdout)
	r.OnEffect(func(e registryfake.Effect) {
		if err := out.Encode(e); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	})
	fmt.Fprintln(os.Stderr, "fake registry on", r.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	return nil
}
