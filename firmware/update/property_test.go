package update

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var testKey = ed25519.NewKeyFromSeed([]byte("thirty-two bytes of a test's key"))

var testKeys = Keys{testKey.Public().(ed25519.PublicKey)}

// release makes a signed manifest and its program.
func release(version, floor string) (manifest, program []byte) {
	program = []byte("the program of version " + version)
	sum := sha256.Sum256(program)
	manifest, err := Sign(&Manifest{V: 1, Product: Product, Version: version, MinVersion: floor,
		Artifacts: []Artifact{{Arch: Arch(), File: "agent-" + version, Size: int64(len(program)), SHA256: hex.EncodeToString(sum[:])}}}, testKey)
	if err != nil {
		panic(err)
	}
	return manifest, program
}

// Releases come, are tried, work or do not, and the power goes between any two steps
// of any of it. At every moment there is a program to start that is whole and not
// below the floor: the version that last worked, or a newer one that was not started
// before. What did not work is never current.
func TestPowerCutAtEveryStep(t *testing.T) {
	const dir, factory = "/data/update", "1.0.0"
	rapid.Check(t, func(t *rapid.T) {
		d := newMemDisk()
		_ = d.MkdirAll(filepath.Dir(dir)) // the partition
		d = d.clone()
		slots := &Slots{Dir: dir, Keys: testKeys, Factory: factory, disk: d}
		good := []string{factory}    // versions of which one is current
		floors := []string{""}       // values that the floor may have
		begun := map[string]int{}    // how often each version was started on trial
		mayBegin := map[string]int{} // how often it was installed
		newest := 0                  // number of the latest release
		mins := map[string]string{}
		var running Choice // what runs; nothing after a cut
		dead := false      // the power went in or after the last step

		// during does something with the power going after some steps, or not at all.
		during := func(do func() error) (err error, whole bool) {
			d.left = rapid.IntRange(-1, 25).Draw(t, "steps until the cut")
			err = do()
			if whole = !d.cut; whole {
				d.left = -1
				if rapid.Bool().Draw(t, "the power goes afterwards") {
					d.cut = true
				}
			}
			if dead = d.cut; dead {
				d = d.afterCut(t)
				slots.disk, running = d, Choice{}
			}
			return err, whole
		}
		boot := func() {
			var c Choice
			err, whole := during(func() (err error) { c, err = slots.Choose(); return err })
			if !whole {
				return
			}
			if err != nil {
				t.Fatalf("nothing to start: %v", err)
			}
			switch {
			case c.Trial:
				if begun[c.Version]++; begun[c.Version] > mayBegin[c.Version] {
					t.Fatalf("%s is tried %d times, and was installed %d times", c.Version, begun[c.Version], mayBegin[c.Version])
				}
			case !slices.Contains(good, c.Version):
				t.Fatalf("%s is started, and current may be %v", c.Version, good)
			default:
				good = []string{c.Version}
			}
			if !dead {
				running = c
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"boot": func(*rapid.T) { boot() },
			"install": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "a new release") > 0 || newest == 0 {
					newest++
				}
				version := fmt.Sprintf("1.%d.0", newest)
				if _, ok := mins[version]; !ok {
					mins[version] = rapid.SampledFrom([]string{"", version, fmt.Sprintf("1.%d.0", newest-1)}).Draw(t, "min")
				}
				manifest, program := release(version, mins[version])
				part := filepath.Join(dir, downloadsName, "part")
				_ = d.MkdirAll(filepath.Dir(part))
				_ = d.Write(part, program)
				_ = d.Sync(part)
				_ = d.SyncDir(filepath.Dir(part))
				err, whole := during(func() error { return slots.Install(manifest, part) })
				if err == nil || !whole {
					mayBegin[version]++
				}
			},
			"works": func(t *rapid.T) {
				if !running.Trial {
					t.Skip("nothing is on trial")
				}
				version := running.Version
				running.Trial = false
				var ok bool
				err, whole := during(func() (err error) { ok, err = slots.Confirm(version); return err })
				good = append(good, version)
				floors = append(floors, mins[version])
				if whole {
					if err != nil {
						t.Fatal(err)
					}
					if ok {
						good = []string{version}
					}
				}
			},
			"does not work": func(t *rapid.T) {
				if !running.Trial {
					t.Skip("nothing is on trial")
				}
				version := running.Version
				running = Choice{}
				if err, whole := during(func() error { return slots.Failed(version, "test") }); whole && err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				look := *slots
				look.disk = d.clone()
				c, err := look.Choose()
				if err != nil {
					t.Fatalf("nothing to start: %v", err)
				}
				if floor := look.Floor(); Less(c.Version, floor) || !slices.Contains(floors, floor) {
					t.Fatalf("%s is started, the floor is %q, may be %q", c.Version, floor, floors)
				}
				if c.Name != "" {
					if _, err := look.verify(c.Name); err != nil {
						t.Fatalf("slot %s is not whole: %v", c.Name, err)
					}
				}
				if !c.Trial && !slices.Contains(good, c.Version) {
					t.Fatalf("%s is started, and current may be %v", c.Version, good)
				}
				if c.Trial && Less(c.Version, good[0]) {
					t.Fatalf("%s is tried, older than %s", c.Version, good[0])
				}
			},
		})
	})
}
