package api

import (
	"context"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
	"github.com/coldkeep/coldkeep/registry/exchange"
	"github.com/coldkeep/coldkeep/registry/hl7/door"
	"github.com/coldkeep/coldkeep/registry/hl7/soap"
)

// doorRoutes are the ways in for single HL7 messages: exchange-records of an interface
// account. People's sessions open nothing here.
func (s *server) doorRoutes(e *gin.Engine) {
	s.door = door.New(s.Auth, s.Exchange)
	in := e.Group("/", s.atDoor)
	in.POST("/hl7", s.hl7)
	in.POST("/soap/iis", s.soapCall)
	in.GET("/soap/iis", s.wsdl)
}

// isDoor reports whether a call is one of doorRoutes.
func isDoor(c *gin.Context) bool { return c.FullPath() == "/hl7" || c.FullPath() == "/soap/iis" }

// readWithin is how long a sender may take to send its message.
const readWithin = 30 * time.Second

// atDoor notes where a message comes from, and bounds how slowly it may. A browser that
// remembers HTTP Basic's password is not to be sent here by another site's page.
func (s *server) atDoor(c *gin.Context) {
	c.Header("Cache-Control", "no-store")
	c.Header("X-Content-Type-Options", "nosniff")
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		s.refusedCall(c, auth.Principal{}, "sent by a page of another site")
		s.refuse(c, coldkeep.Errorf(coldkeep.EFORBIDDEN, "This request was sent by a page of another site."))
		return
	}
	if err := http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(readWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		s.Log.Debug("hl7: read deadline", "err", err)
	}
}

// plain says that errors are wanted as text: who posts a form, or takes no JSON.
func plain(r *http.Request) bool {
	accept := r.Header.Get("Accept")
	if accept == "" || strings.Contains(accept, "*/*") {
		media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		return media == "application/x-www-form-urlencoded" || media == "multipart/form-data"
	}
	return !strings.Contains(accept, "json")
}

// refuse answers in HTTP's terms what cannot be answered in HL7's.
func (s *server) refuse(c *gin.Context, err error) {
	var wait door.Wait
	if errors.As(err, &wait) {
		c.Header("Retry-After", strconv.Itoa(int(math.Ceil(wait.For.Seconds()))))
	}
	if coldkeep.ErrorCode(err) == coldkeep.EUNAUTHORIZED {
		c.Header("WWW-Authenticate", `Basic realm="coldkeep", charset="UTF-8"`)
		c.Writer.Header().Add("WWW-Authenticate", `Bearer realm="coldkeep"`)
	}
	if !plain(c.Request) {
		s.problem(c, err)
		return
	}
	code := coldkeep.ErrorCode(err)
	if code == coldkeep.EINTERNAL {
		s.Log.Error("registry hl7", "route", c.FullPath(), "err", err)
	}
	c.Abort()
	c.String(coldkeep.Status(code), "%s\n", coldkeep.ErrorMessage(err))
}

func (s *server) refuseStatus(c *gin.Context, status int, detail string) {
	if plain(c.Request) {
		c.Abort()
		c.String(status, "%s\n", detail)
		return
	}
	write(c, status, coldkeep.EINVALID, detail)
}

// shown are the credentials in a request's head.
func shown(r *http.Request) (cred door.Credentials, ok bool) {
	if name, token, basic := r.BasicAuth(); basic {
		return door.Credentials{Name: name, Token: token}, true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return door.Credentials{}, false
	}
	return door.Credentials{Token: strings.TrimSpace(token)}, true
}

// hl7 takes one message and gives one. The message is the body, by Basic or bearer; or a
// field of a form, with the credentials in others, as some programs in the field post it.
func (s *server) hl7(c *gin.Context) {
	media, params, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil && c.GetHeader("Content-Type") != "" && media == "" {
		s.refuseStatus(c, http.StatusUnsupportedMediaType, "Content-Type: is none")
		return
	}
	if e := c.GetHeader("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		s.refuseStatus(c, http.StatusUnsupportedMediaType, "Content-Encoding: send the message as it is")
		return
	}
	cred, has := shown(c.Request)
	var by auth.Principal
	var body []byte
	switch media {
	case "application/x-www-form-urlencoded", "multipart/form-data":
		form, ok := s.doorForm(c, media)
		if !ok {
			return
		}
		if !has {
			cred = door.Credentials{Name: field(form, "USERID"), Token: field(form, "PASSWORD")}
			if cred.Name == "" {
				cred.Token = "" // a form names who sends
			}
		}
		if by, err = s.door.SignIn(c.Request.Context(), string(exchange.HTTP), c.ClientIP(), cred, field(form, "FACILITYID")); err != nil {
			s.refuse(c, err)
			return
		}
		body = []byte(field(form, "MESSAGEDATA"))
	case "", "text/plain", "application/hl7-v2", "application/edi-hl7", "x-application/hl7-v2+er7", "application/octet-stream":
		// Of who may not, not even the message is read.
		if by, err = s.door.SignIn(c.Request.Context(), string(exchange.HTTP), c.ClientIP(), cred, ""); err != nil {
			s.refuse(c, err)
			return
		}
		if body, err = io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, exchange.MaxMessage)); err != nil {
			s.unread(c, err)
			return
		}
		if body, err = door.Decode(body, params["charset"]); err != nil {
			s.refuse(c, err)
			return
		}
	default:
		s.refuseStatus(c, http.StatusUnsupportedMediaType, "Content-Type: want text/plain or application/hl7-v2")
		return
	}
	answer, err := s.submit(c.Request.Context(), by, exchange.HTTP, body)
	if answer == nil {
		s.refuse(c, err)
		return
	}
	status := http.StatusOK
	if err != nil {
		status = http.StatusServiceUnavailable
	}
	out := "text/plain; charset=utf-8"
	if media == "application/hl7-v2" || strings.Contains(c.GetHeader("Accept"), "application/hl7-v2") {
		out = "application/hl7-v2; charset=utf-8"
	}
	c.Data(status, out, answer)
}

// submit hands a message on. With an error there may be an answer that is to be sent all
// the same.
func (s *server) submit(ctx context.Context, by auth.Principal, way exchange.Door, body []byte) ([]byte, error) {
	if err := door.One(string(body)); err != nil && !wide(body) {
		return nil, err
	}
	answer, err := s.Exchange.Submit(ctx, by, exchange.Submission{Door: way, Text: body})
	if err != nil && answer != nil {
		s.Log.Error("registry hl7: a message could not be done", "account", by.ID, "err", err)
	}
	return answer, err
}

// wide reports whether a text is in sixteen bits, which package er7 reads and door.One does
// not.
func wide(b []byte) bool {
	return len(b) > 1 && (b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff || b[0] == 0 || b[1] == 0)
}

func (s *server) unread(c *gin.Context, err error) {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		s.refuseStatus(c, http.StatusRequestEntityTooLarge, "body: is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
		return
	}
	s.refuseStatus(c, http.StatusBadRequest, "body: could not be read")
}

// doorForm reads a form with a message. When it cannot, it has answered.
func (s *server) doorForm(c *gin.Context, media string) (url.Values, bool) {
	const limit = 4 * exchange.MaxMessage // a form writes most signs of HL7 with three bytes
	c.Request.Body = http.MaxBytesReader(c.Writer, c.Request.Body, limit)
	var err error
	if media == "multipart/form-data" {
		err = c.Request.ParseMultipartForm(limit)
		if f := c.Request.MultipartForm; f != nil {
			defer func() { _ = f.RemoveAll() }() // all of it is in memory
		}
	} else {
		err = c.Request.ParseForm()
	}
	if err != nil {
		s.unread(c, err)
		return nil, false
	}
	return c.Request.PostForm, true
}

// field is a field of a form, whose name may be in small letters.
func field(form url.Values, name string) string {
	if v, ok := form[name]; ok && len(v) > 0 {
		return v[0]
	}
	for k, v := range form {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// soapCall is a call of CDC's web service.
func (s *server) soapCall(c *gin.Context) {
	service := soap.Service{Door: soapDoor{s, c}, Limit: 2 * exchange.MaxMessage, Log: s.Log}
	body := &counted{ReadCloser: c.Request.Body}
	c.Request.Body = body
	service.ServeHTTP(c.Writer, c.Request)
	if body.n > service.Limit {
		c.Set(overKey, true)
	}
}

// soapDoor takes messages of the web service. Who shows no credentials in the message may
// show them in HTTP's head.
type soapDoor struct {
	*server
	c *gin.Context
}

// Submit implements soap.Door.
func (d soapDoor) Submit(ctx context.Context, r soap.Request) (string, error) {
	cred := door.Credentials{Name: r.Username, Token: r.Password}
	if cred.Name == "" {
		cred, _ = shown(d.c.Request)
	}
	by, err := d.door.SignIn(ctx, string(exchange.SOAP), d.c.ClientIP(), cred, r.FacilityID)
	if err != nil {
		var wait door.Wait
		if errors.As(err, &wait) {
			d.c.Header("Retry-After", strconv.Itoa(int(math.Ceil(wait.For.Seconds()))))
			d.refusedCall(d.c, by, "too often")
		}
		return "", err
	}
	answer, err := d.submit(ctx, by, exchange.SOAP, []byte(r.Message))
	switch {
	case answer != nil:
		return string(answer), nil
	case errors.Is(err, exchange.ErrMany):
		return "", &soap.Fault{Kind: soap.MessageTooLarge, Code: soap.CodeMany, Detail: coldkeep.ErrorMessage(err)}
	case errors.Is(err, exchange.ErrTooLarge):
		return "", &soap.Fault{Kind: soap.MessageTooLarge, Code: soap.CodeTooLarge, Detail: coldkeep.ErrorMessage(err)}
	}
	return "", err
}

// wsdl describes the web service, at ?wsdl as clients ask for it.
func (s *server) wsdl(c *gin.Context) {
	for k := range c.Request.URL.Query() {
		if strings.EqualFold(k, "wsdl") || strings.EqualFold(k, "singleWsdl") {
			c.Data(http.StatusOK, "text/xml; charset=utf-8", soap.WSDL(s.address(c)+"/soap/iis"))
			return
		}
	}
	c.String(http.StatusOK, "This is the web service of CDC's WSDL for immunization information systems. Its description is at ?wsdl.\n")
}

// address is how the caller has come here.
func (s *server) address(c *gin.Context) string {
	if s.Origin != "" {
		return s.Origin
	}
	scheme := "http"
	if c.Request.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + c.Request.Host
}
