package broker

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// webSocket takes MQTT over WebSocket (MQTT 3.1.1, section 6), for clinics whose
// firewall lets nothing else out. The library's own listener hides the connection's
// TLS, and with it the devices' certificates.
type webSocket struct {
	id       string
	listener net.Listener
	scheme   string
	server   *http.Server
	upgrader websocket.Upgrader
	end      sync.Once
}

var _ listeners.Listener = (*webSocket)(nil)

// maxFrame bounds a frame; clients put a packet into each.
const maxFrame = 1 << 20

// newWebSocket serves on a listener, which is a TLS one when scheme is "wss".
func newWebSocket(id string, l net.Listener, scheme string) *webSocket {
	return &webSocket{id: id, listener: l, scheme: scheme, upgrader: websocket.Upgrader{
		Subprotocols:     []string{"mqtt"},
		HandshakeTimeout: handshake,
		// A page in somebody's browser has no business here, and nothing else says an origin.
		CheckOrigin: func(r *http.Request) bool { return r.Header.Get("Origin") == "" },
	}}
}

// handshake bounds what comes before MQTT.
const handshake = 10 * time.Second

// ID, Address and Protocol name the listener.
func (w *webSocket) ID() string       { return w.id }
func (w *webSocket) Address() string  { return w.listener.Addr().String() }
func (w *webSocket) Protocol() string { return w.scheme }

// Init does nothing.
func (w *webSocket) Init(*slog.Logger) error { return nil }

// Serve takes connections until Close.
func (w *webSocket) Serve(establish listeners.EstablishFn) {
	w.server = &http.Server{ReadHeaderTimeout: handshake, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/" && r.URL.Path != "/mqtt" {
				http.NotFound(rw, r)
				return
			}
			c, err := w.upgrader.Upgrade(rw, r, nil)
			if err != nil {
				return // the upgrader has answered
			}
			c.SetReadLimit(maxFrame)
			defer func() { _ = c.Close() }() // twice is no harm
			_ = establish(w.id, &wsConn{Conn: c.NetConn(), ws: c})
		})}
	_ = w.server.Serve(w.listener) // ends with Close
}

// Close ends the listener and its connections.
func (w *webSocket) Close(closeClients listeners.CloseFn) {
	w.end.Do(func() {
		_ = w.listener.Close()
		closeClients(w.id)
	})
}

// wsConn is a WebSocket as the stream that MQTT reads. A frame may hold part of a
// packet or several (MQTT 3.1.1, section 6).
type wsConn struct {
	net.Conn
	ws    *websocket.Conn
	frame io.Reader
	write sync.Mutex
}

// Read reads on, over the ends of frames.
func (c *wsConn) Read(p []byte) (int, error) {
	for {
		if c.frame == nil {
			kind, r, err := c.ws.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a frame that is not binary")
			}
			c.frame = r
		}
		n, err := c.frame.Read(p)
		if errors.Is(err, io.EOF) {
			c.frame, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write writes one frame.
func (c *wsConn) Write(p []byte) (int, error) {
	c.write.Lock()
	defer c.write.Unlock()
	if err := c.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ConnectionState is that of the TLS below, the zero value without.
func (c *wsConn) ConnectionState() (s tls.ConnectionState) {
	if t, ok := c.Conn.(*tls.Conn); ok {
		s = t.ConnectionState()
	}
	return s
}
