// Reads and writes the record of a directory lock as a program in Go does that knows four fields
// of it: the same names and types as gastown's (internal/lock/lock.go).
//
//	reader FILE     pid, seconds since 1970, session and host, a line each
//	reader          writes a record of its own on standard output
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

type record struct {
	Pid     int       `json:"pid"`
	Since   time.Time `json:"acquired_at"`
	Session string    `json:"session_id,omitempty"`
	Host    string    `json:"hostname,omitempty"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(files []string) error {
	if len(files) == 0 {
		host, err := os.Hostname()
		if err != nil {
			return err
		}
		berlin := time.FixedZone("", 3600)
		own := record{os.Getpid(), time.Now().In(berlin), os.Getenv("TMUX_PANE"), host}
		text, err := json.MarshalIndent(own, "", "  ")
		if err != nil {
			return err
		}
		_, err = os.Stdout.Write(text)
		return err
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		return err
	}
	var found record
	if err := json.Unmarshal(text, &found); err != nil {
		return err
	}
	fmt.Printf("%d\n%d\n%q\n%q\n", found.Pid, found.Since.Unix(), found.Session, found.Host)
	return nil
}
