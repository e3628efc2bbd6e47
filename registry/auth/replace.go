package auth

import (
	"context"

	"github.com/coldkeep/coldkeep"
	"github.com/coldkeep/coldkeep/registry/audit"
)

// AcceptInPlaceOf lets a device in as AcceptClaim does, in the place of another that is
// dead: that one's account ends, and its probes stand from now on where they stood, as
// those of the new device, with their certificates. The units keep their history under
// the old name. With the same name the new device simply goes on. Errors as AcceptClaim,
// and ENOTFOUND when there is no such device to replace.
func (s *Service) AcceptInPlaceOf(ctx context.Context, by Principal, code string, site coldkeep.SiteID, agent, old coldkeep.AgentID) error {
	if err := by.Require(ManageUnits, site); err != nil {
		return err
	}
	if agent == "" {
		agent = old
	}
	return s.decideClaim(ctx, by, code, func(tx Tx, c *Claim) error {
		dead, err := tx.Device(ctx, site, old)
		if err != nil {
			return err
		}
		if err := s.letIn(ctx, tx, by, c, site, agent, agent == old); err != nil || agent == old {
			return err
		}
		dead.Revoked = true
		if err := s.changeDevice(ctx, tx, by, dead, "device.revoke"); err != nil {
			return err
		}
		n, err := tx.MoveProbes(ctx, site, old, agent, *c.DecidedAt)
		if err != nil || n == 0 {
			return err
		}
		return tx.Audit(ctx, audit.Entry{At: *c.DecidedAt, WhoID: by.ID, Who: by.Name, What: "probe.move",
			Subject: "device/" + string(site) + "/" + string(agent), Site: site, Detail: "in place of " + string(old)})
	})
}
