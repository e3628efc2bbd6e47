// Command cmd runs an identity provider that takes everybody for one person.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coldkeep/coldkeep/internal/oidcfake"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8093", "address to listen on")
	client := flag.String("client", "coldkeep", "client id")
	secret := flag.String("secret", "secret", "client secret")
	username := flag.String("username", "sam", "who comes")
	flag.Parse()
	p, err := oidcfake.New(*addr, *client, *secret)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
	p.Be(map[string]any{"sub": "fake-" + *username, "preferred_username": *username})
	fmt.Fprintln(os.Stderr, "identity provider on", p.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	<-stop
	p.Close()
}
