package update

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end a trial whose launcher is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
