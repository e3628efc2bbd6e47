package sftp

import (
	"os"
	"slices"
	"sync"

	"github.com/coldkeep/coldkeep"
)

// upload is a file while a client writes it. It implements io.WriterAt, io.Closer and
// sftp.TransferError.
type upload struct {
	spool         *spool
	account, name string
	base          string
	f             *os.File
	count         func() error // what makes a whole file count, under its name

	mu      sync.Mutex
	covered ranges
	failed  error // why it will not count
	broken  bool  // the connection has ended
	over    bool
}

// WriteAt implements io.WriterAt. After a write that has failed the upload does not count,
// also when the client closes it.
func (u *upload) WriteAt(b []byte, at int64) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed != nil {
		return 0, told(u.failed)
	}
	n, err := u.write(b, at)
	if err != nil {
		u.failed = err
	}
	return n, told(err)
}

func (u *upload) write(b []byte, at int64) (int, error) {
	end := at + int64(len(b))
	if at < 0 || end > MaxFile {
		return 0, coldkeep.Errorf(coldkeep.EINVALID, "the file is larger than %d MB", MaxFile>>20)
	}
	if size := u.covered.size(); end > size {
		if err := u.spool.reserve(u.account, end-size); err != nil {
			return 0, err
		}
	}
	n, err := u.f.WriteAt(b, at)
	u.covered.add(at, at+int64(n))
	return n, coldkeep.Wrap(err, coldkeep.EUNAVAILABLE, "sftp.upload", "the file could not be written")
}

// TransferError hears that the connection has ended before the client closed the file.
func (u *upload) TransferError(error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.broken = true
}

// fail makes the upload one that does not count.
func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failed == nil {
		u.failed = err
	}
}

// Close implements io.Closer: the client has closed the file, or it is closed for a client
// that is gone. What it returns is told to the client.
func (u *upload) Close() error {
	counts, err := u.end()
	u.spool.ended(u)
	if err == nil && counts {
		err = u.count()
	}
	return told(err)
}

// end makes a whole file durable and says whether the client has closed it.
func (u *upload) end() (whole bool, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return false, nil
	}
	u.over = true
	if u.failed == nil && !u.broken && !u.covered.whole() {
		u.failed = coldkeep.Errorf(coldkeep.EINVALID, "parts of the file have not been sent")
	}
	kept := func(e error) {
		if err == nil {
			err = coldkeep.Wrap(e, coldkeep.EUNAVAILABLE, "sftp.upload", "the file could not be kept")
		}
	}
	if err = u.failed; err == nil && !u.broken {
		kept(u.f.Sync())
	}
	kept(u.f.Close())
	if err != nil || u.broken {
		return false, err
	}
	if kept(os.Rename(u.base+openEnding, u.base+wholeEnding)); err == nil {
		kept(syncFolder(u.spool.folder(u.account)))
	}
	return err == nil, err
}

// told is an error as the client is to read it.
func told(err error) error {
	if err == nil {
		return nil
	}
	return clientError(coldkeep.ErrorMessage(err))
}

// clientError is a text for the client, of which some show it and some say "Failure".
type clientError string

// Error implements error.
func (e clientError) Error() string { return string(e) }

// ranges is which bytes of a file there are: all up to end, and some beyond, since clients
// send parts ahead of each other.
type ranges struct {
	end   int64
	ahead [][2]int64 // sorted, apart from each other
}

// size is the end of the last byte.
func (r *ranges) size() int64 {
	if n := len(r.ahead); n > 0 {
		return r.ahead[n-1][1]
	}
	return r.end
}

func (r *ranges) whole() bool { return len(r.ahead) == 0 }

func (r *ranges) add(from, to int64) {
	if from >= to {
		return
	}
	if from > r.end {
		i, _ := slices.BinarySearchFunc(r.ahead, from, func(x [2]int64, at int64) int { return int(min(1, max(-1, x[1]-at))) })
		j := i
		for ; j < len(r.ahead) && r.ahead[j][0] <= to; j++ {
			from, to = min(from, r.ahead[j][0]), max(to, r.ahead[j][1])
		}
		r.ahead = slices.Replace(r.ahead, i, j, [2]int64{from, to})
		return
	}
	r.end = max(r.end, to)
	n := 0
	for ; n < len(r.ahead) && r.ahead[n][0] <= r.end; n++ {
		r.end = max(r.end, r.ahead[n][1])
	}
	r.ahead = slices.Delete(r.ahead, 0, n)
}
