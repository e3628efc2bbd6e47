// Command gen makes the built-in code sets from the ones that CDC publishes:
//
//	go run ./registry/vaccine/gen -codes DIR
//
// The output is the same for the same input.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"github.com/coldkeep/coldkeep/registry/vaccine/published"
)

func main() {
	dir := flag.String("codes", "", "folder of the published files")
	out := flag.String("out", "registry/vaccine/builtin.json.gz", "file to write")
	flag.Parse()
	if err := run(*dir, *out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir, out string) error {
	sets, err := published.Read(os.DirFS(dir))
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	z, err := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(z).Encode(sets); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return os.WriteFile(out, buf.Bytes(), 0o644)
}
