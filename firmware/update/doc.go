// Package update brings a new version of the agent onto a device and takes it away
// again when it does no good.
//
// A release is a manifest, signed with Ed25519, and a program for each kind of
// machine. The public keys are pinned in a file of the read-only system. On the data
// partition there are two slots, each a folder with a program and the manifest that
// it came with:
//
//	update/a/agent, update/a/manifest
//	update/b/agent, update/b/manifest
//	update/current → a       the version that has shown that it works; absent: the system's own
//	update/trial → b         a version that is to be tried
//	update/begun             names the trial that has had its one start
//	update/floor             nothing below this version runs any more
//	update/failed            how often each version did not become healthy
//
// The Launcher, which is the system's own program and not one of the slots, chooses at
// every start: it checks signature and hash of what it starts, so that a program that
// the card has damaged is noticed before it runs. A trial runs once, under the
// launcher's eyes, and becomes current when it has had a reading acknowledged by the
// collector in time; otherwise the version before runs on. Every step is one rename
// or one removal, on disk before the next, so that the power may go between any two
// (property_test.go cuts it there).
package update
