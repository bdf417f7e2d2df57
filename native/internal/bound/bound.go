// Package bound holds every limit of the agent under its name.
package bound

import (
	"flag"
	"strings"
	"time"
)

// Limits are the bounds that a caller can meet. Zero is never "unlimited".
type Limits struct {
	Processes      int // at once, background ones included
	EndedProcesses int // kept for listing and replay
	EndedBytes     int // output kept by ended processes together
	RingBytes      int // output kept per process
	Readers        int // attached to one process
	ArgvCount      int
	ArgvBytes      int
	EnvCount       int
	EnvBytes       int
	TagBytes       int
	StdinBytes     int // queued for one process
	MessageBytes   int // one RPC message
	HeaderBytes    int
	InitBytes      int
	PathBytes      int
	ListEntries    int
	ListDepth      int
	GlobResults    int
	GlobBytes      int // of the pattern
	GlobVisits     int // entries looked at by one glob
	Watchers       int
	WatchDirs      int // watched by one watcher
	WatchEvents    int // queued by one watcher
	Dials          int
	DialLingerMs   int // for what was sent through a dial whose host end is gone
	MultipartParts int
	MetadataCount  int
	MetadataBytes  int

	ArchiveEntries     int // of one archive
	ArchiveHeaderBytes int // in front of one entry of an archive
	ArchiveKeptBytes   int // names kept while one archive is read or written
	Uploads            int // open at once
	UploadIdleMs       int // since an upload's last byte
	CommittedUploads   int // whose commit may be asked again
}

// EndedAge is how long an ended process stays listed.
const EndedAge = 24 * time.Hour

// ArgvShownBytes is how much of a command line a list shows, and what is kept of it after the end.
const ArgvShownBytes = 4 << 10

// ChunkBytes is the largest piece of output in one event.
const ChunkBytes = 64 << 10

// IDBytes is the length of a caller's own name for a process or an upload.
const IDBytes = 64

// IsID tells whether a caller's own name has the form of one; an empty one is for who reads it to judge.
func IsID(id string) bool {
	return len(id) <= IDBytes && !strings.ContainsFunc(id, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
}

// Default returns the limits that hold when no flag says otherwise.
func Default() Limits {
	return Limits{
		Processes:      400,
		EndedProcesses: 100,
		EndedBytes:     32 << 20,
		RingBytes:      1 << 20,
		Readers:        32,
		ArgvCount:      4096,
		ArgvBytes:      1 << 20,
		EnvCount:       1024,
		EnvBytes:       1 << 20,
		TagBytes:       256,
		StdinBytes:     1 << 20,
		MessageBytes:   8 << 20,
		HeaderBytes:    64 << 10,
		InitBytes:      256 << 10,
		PathBytes:      4095,
		ListEntries:    20_000,
		ListDepth:      64,
		GlobResults:    10_000,
		GlobBytes:      4096,
		GlobVisits:     1_000_000,
		Watchers:       64,
		WatchDirs:      8192,
		WatchEvents:    4096,
		Dials:          256,
		DialLingerMs:   30_000,
		MultipartParts: 100,
		MetadataCount:  32,
		MetadataBytes:  4096,

		ArchiveEntries:     1_000_000,
		ArchiveHeaderBytes: 4 << 20,
		ArchiveKeptBytes:   32 << 20,
		Uploads:            16,
		UploadIdleMs:       24 * 3_600_000,
		CommittedUploads:   256,
	}
}

// Flags lets `--max-<name> N` change each limit.
func (l *Limits) Flags(set *flag.FlagSet) {
	for name, field := range l.named() {
		set.IntVar(field, "max-"+name, *field, "bound")
	}
}

func (l *Limits) named() map[string]*int {
	return map[string]*int{
		"processes": &l.Processes, "ended-processes": &l.EndedProcesses, "ended-bytes": &l.EndedBytes,
		"ring-bytes": &l.RingBytes, "readers": &l.Readers,
		"argv-count": &l.ArgvCount, "argv-bytes": &l.ArgvBytes, "env-count": &l.EnvCount, "env-bytes": &l.EnvBytes,
		"tag-bytes": &l.TagBytes, "stdin-bytes": &l.StdinBytes,
		"message-bytes": &l.MessageBytes, "header-bytes": &l.HeaderBytes, "init-bytes": &l.InitBytes,
		"path-bytes": &l.PathBytes, "list-entries": &l.ListEntries, "list-depth": &l.ListDepth,
		"glob-results": &l.GlobResults, "glob-bytes": &l.GlobBytes, "glob-visits": &l.GlobVisits,
		"watchers": &l.Watchers, "watch-dirs": &l.WatchDirs, "watch-events": &l.WatchEvents,
		"dials": &l.Dials, "dial-linger-ms": &l.DialLingerMs, "multipart-parts": &l.MultipartParts,
		"metadata-count": &l.MetadataCount, "metadata-bytes": &l.MetadataBytes,
		"archive-entries": &l.ArchiveEntries, "archive-header-bytes": &l.ArchiveHeaderBytes, "archive-kept-bytes": &l.ArchiveKeptBytes,
		"uploads": &l.Uploads, "upload-idle-ms": &l.UploadIdleMs, "committed-uploads": &l.CommittedUploads,
	}
}
