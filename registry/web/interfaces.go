package web

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/auth"
)

// interfaceRoutes are the accounts of programs: manage-people at the account's site, and
// manage-programme for those of the whole programme.
func (s *server) interfaceRoutes(in *gin.RouterGroup) {
	in.GET("/admin/interfaces", s.interfaces)
	in.POST("/admin/interfaces", s.addInterface)
	in.POST("/admin/interfaces/:id/token", s.renewInterface)
	in.POST("/admin/interfaces/:id/revoke", s.revokeInterface)
	in.POST("/admin/interfaces/:id/keys", s.addInterfaceKey)
	in.POST("/admin/interfaces/:id/keys/remove", s.removeInterfaceKey)
}

type interfacesPage struct {
	Accounts []auth.Account
	Keys     map[string][]auth.AccountKey
	Sites    []coldkeep.Site
	Scopes   []scope // that the person may give
	Token    string  // of a new account, shown once
	Name     string  // whose token it is
}

// scope is a scope in words.
type scope struct{ ID, Title string }

var scopes = []scope{
	{auth.ScopeRecords, "Patients and doses, for an EHR"},
	{auth.ScopeUnits, "Units and probes, for a tool of the programme"},
	{auth.ScopeCollector, "Temperature logs, for the collector"},
}

func (s *server) interfaces(c *gin.Context) { s.showInterfaces(c, "", "") }

// showInterfaces shows the accounts, and a token once.
func (s *server) showInterfaces(c *gin.Context, name, token string) {
	ctx, who := c.Request.Context(), principal(c)
	p := interfacesPage{Token: token, Name: name, Scopes: scopes[:1]}
	if who.May(auth.ManageProgramme, "") {
		p.Scopes = scopes
	}
	var err error
	if p.Accounts, p.Keys, err = s.Auth.Accounts(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	if p.Sites, err = s.Auth.Sites(ctx, who); err != nil {
		s.fail(c, err)
		return
	}
	s.render(c, http.StatusOK, "interfaces", &page{Title: "Interface accounts", Nav: "interfaces", Path: "/admin/interfaces", Data: p})
}

const interfacesBack = "/admin/interfaces"

func (s *server) addInterface(c *gin.Context) {
	site, err := formSite(c)
	if err != nil && principal(c).Anywhere(auth.ManagePeople) {
		s.done(c, interfacesBack, "", err)
		return
	}
	a, token, err := s.Auth.AddAccount(c.Request.Context(), principal(c), c.PostForm("name"), site, c.PostFormArray("scope"))
	if err != nil {
		s.done(c, interfacesBack, "", err)
		return
	}
	s.showInterfaces(c, a.Name, token)
}

// formSite is the site that a form chooses for an account; the whole programme is a choice
// of its own, and not what is left when nothing was chosen.
func formSite(c *gin.Context) (coldkeep.SiteID, error) {
	switch site := c.PostForm("site"); site {
	case "":
		return "", coldkeep.Errorf(coldkeep.EINVALID, "Site: please choose one, or the whole programme.")
	case "*":
		return "", nil
	default:
		return coldkeep.SiteID(site), nil
	}
}

func (s *server) renewInterface(c *gin.Context) {
	token, err := s.Auth.RenewAccount(c.Request.Context(), principal(c), c.Param("id"))
	if err != nil {
		s.done(c, interfacesBack, "", err)
		return
	}
	s.showInterfaces(c, "", token)
}

func (s *server) revokeInterface(c *gin.Context) {
	s.done(c, interfacesBack, "The account has been revoked. Its token opens nothing any more.", s.Auth.RevokeAccount(c.Request.Context(), principal(c), c.Param("id")))
}

func (s *server) addInterfaceKey(c *gin.Context) {
	s.done(c, interfacesBack, "The key has been added.", s.Auth.AddAccountKey(c.Request.Context(), principal(c), c.Param("id"), c.PostForm("key")))
}

func (s *server) removeInterfaceKey(c *gin.Context) {
	s.done(c, interfacesBack, "The key has been taken away.", s.Auth.RemoveAccountKey(c.Request.Context(), principal(c), c.Param("id"), c.PostForm("fingerprint")))
}
