package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/internal/servers"
)

// monitor speaks QEMU's machine protocol: one JSON object a command and an answer
// (docs/interop/qmp-spec of QEMU).
type monitor struct {
	conn net.Conn
	in   *json.Decoder
}

// openMonitor connects to the socket that QEMU makes as it starts.
func openMonitor(ctx context.Context, socket string) (*monitor, error) {
	var m *monitor
	err := servers.Until(ctx, 30*time.Second, func() error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
		if err == nil {
			m = &monitor{conn: conn, in: json.NewDecoder(conn)}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var greeting json.RawMessage
	if err := m.in.Decode(&greeting); err != nil {
		return nil, errors.Join(err, m.conn.Close())
	}
	if err := m.do("qmp_capabilities", nil); err != nil {
		return nil, errors.Join(err, m.conn.Close())
	}
	return m, nil
}

// do gives a command and waits for its answer.
func (m *monitor) do(command string, arguments any) error {
	if err := m.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	ask := map[string]any{"execute": command}
	if arguments != nil {
		ask["arguments"] = arguments
	}
	if err := json.NewEncoder(m.conn).Encode(ask); err != nil {
		return err
	}
	for {
		var answer struct {
			Return json.RawMessage `json:"return"`
			Error  *struct {
				Desc string `json:"desc"`
			} `json:"error"`
		}
		switch err := m.in.Decode(&answer); {
		case err != nil:
			return fmt.Errorf("QEMU's monitor: %w", err)
		case answer.Error != nil:
			return fmt.Errorf("QEMU's monitor: %s: %s", command, answer.Error.Desc)
		case answer.Return != nil:
			return nil
		} // anything else is an event
	}
}

// set changes the temperature of the thermometer, whose model takes thousandths of °C
// as we have them.
func (m *monitor) set(c coldkeep.Temperature) error {
	return m.do("qom-set", map[string]any{"path": "/machine/peripheral/" + thermometer, "property": "temperature", "value": int64(c)})
}
