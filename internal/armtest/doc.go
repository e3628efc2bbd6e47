// Package armtest runs the agent as it is built for Raspberry Pis, under qemu's
// emulation of their processors, against a tree of files like the kernel's 1-Wire and a
// real Mosquitto. It has no code outside of its tests; the command machine below it runs
// a whole emulated board under a real kernel.
package armtest
