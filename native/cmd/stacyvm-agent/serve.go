package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"stacyvm/native/internal/account"
	"stacyvm/native/internal/attached"
	"stacyvm/native/internal/bound"
	"stacyvm/native/internal/confine"
	"stacyvm/native/internal/fork"
	"stacyvm/native/internal/idle"
	"stacyvm/native/internal/outbound/proxy"
	"stacyvm/native/internal/process"
	door "stacyvm/native/internal/serve"
	"stacyvm/native/internal/tree"
)

// version is set by the linker.
var version = "development"

const (
	// idleGCPercent keeps the heap small; the agent's live data is a few hundred kilobytes.
	idleGCPercent = 50
	maxProcs      = 4
	// spareThreads are as many as a dozen calls at once have been seen to hold; below a tracer each costs its start more.
	spareThreads       = 24
	tracedSpareThreads = 8
	// tracedSlackNs is how late timers fire in an agent that is traced: Go's runtime looks every 20 us whether one of its threads is
	// held up in a call, as below a tracer each one is, and to look costs two stops itself.
	tracedSlackNs = 1_000_000
)

type options struct {
	listenFD    int
	listenUnix  string
	stdio       bool
	cgroupFD    int
	egressFD    int
	egressUnix  string
	egressProxy bool
	workdir     string
	user        string
	traced      bool
	slackNs     uint
	limits      bound.Limits
}

func parse(args []string) (options, error) {
	o := options{limits: bound.Default()}
	set := flag.NewFlagSet("serve", flag.ContinueOnError)
	set.IntVar(&o.listenFD, "listen-fd", -1, "inherited listening unix socket")
	set.StringVar(&o.listenUnix, "listen-unix", "", "path of a unix socket to make")
	set.BoolVar(&o.stdio, "stdio", false, "take connections over stdin and stdout")
	set.IntVar(&o.cgroupFD, "cgroup-fd", -1, "inherited directory descriptor of the sandbox's own cgroup")
	set.IntVar(&o.egressFD, "egress-fd", -1, "inherited listening unix socket for the network device and the egress gateway")
	set.StringVar(&o.egressUnix, "egress-unix", "", "path of such a socket to make")
	set.BoolVar(&o.egressProxy, "egress-proxy", false, "take no network device, and be an HTTP proxy on "+proxy.Address+"; without such a socket the gateway's connections come through the agent's own")
	set.StringVar(&o.workdir, "workdir", "/workspace", "default working directory")
	set.StringVar(&o.user, "user", "", "default user; root, or the agent's own where that is not root")
	set.BoolVar(&o.traced, "traced", false, "a program that translates paths traces the sandbox: let it read this one's memory")
	set.UintVar(&o.slackNs, "slack-ns", 0, "set by the agent itself, once --traced has taken effect: the timer slack of what it starts")
	o.limits.Flags(set)
	if err := set.Parse(args); err != nil {
		return o, err
	}
	doors := 0
	for _, given := range []bool{o.listenFD >= 0, o.listenUnix != "", o.stdio} {
		if given {
			doors++
		}
	}
	if set.NArg() > 0 || doors != 1 {
		return o, errors.New("give exactly one of --listen-fd, --listen-unix and --stdio, and no arguments")
	}
	if o.egressFD >= 0 && o.egressUnix != "" {
		return o, errors.New("give one of --egress-fd and --egress-unix, or neither")
	}
	return o, nil
}

func serve(args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	if o.traced && o.slackNs == 0 {
		return setApart()
	}
	ownScore, memory := harden(o.traced)
	listener, err := listen(o)
	if err != nil {
		return err
	}
	accounts := &account.Database{}
	if o.user == "" || os.Geteuid() != 0 {
		o.user = strconv.Itoa(os.Geteuid())
		if os.Geteuid() == 0 {
			o.user = "root"
		}
	}
	prepare(o, accounts)
	memory.Start()
	offer, err := openEgress(o, memory.Used)
	if err != nil {
		return err
	}
	forkExec := syscall.ForkExec
	if o.traced {
		forkExec = fork.Forker{SlackNs: o.slackNs}.Start
	}
	table := process.NewTable(process.Options{
		ForkExec: forkExec,
		Limits:   o.limits, Forest: forest(o.cgroupFD, ownScore), Accounts: accounts, DefaultUser: o.user, DefaultCwd: o.workdir,
		Used: memory.Used,
	})
	serving := door.Options{Limits: o.limits, Table: table, Accounts: accounts, Version: version, OfferSlot: offer}
	if o.egressProxy {
		serving.OwnPort = proxy.Port
	}
	server := door.New(serving)
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	// Caught, not ignored: children would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE, syscall.SIGHUP)
	go func() {
		select {
		case <-asked:
		case <-ended(listener):
		}
		server.Stop()
	}()
	return server.Serve(listener)
}

// setApart keeps the sandbox from tracing and starts the agent anew: what it takes away belongs to a thread, as does the timer
// slack, which the runtime's threads then begin with.
func setApart() error {
	runtime.LockOSThread()
	if err := errors.Join(confine.Apart(), confine.OfTraced()); err != nil {
		return err
	}
	slackNs, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
	if err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, tracedSlackNs, 0, 0, 0); err != nil {
		return err
	}
	return syscall.Exec(os.Args[0], append(slices.Clone(os.Args), "--slack-ns", strconv.Itoa(max(slackNs, 1))), os.Environ())
}

// harden closes what the sandbox's processes could otherwise reach, before anything else is done. It returns the
// descriptor of the agent's own OOM score and its mappings, neither of which it may open afterwards. A tracer without
// privileges can't read the memory of what is not dumpable.
func harden(traced bool) (ownScore int, memory *idle.Memory) {
	_ = unix.CloseRange(3, ^uint(0), unix.CLOSE_RANGE_CLOEXEC)
	ownScore, memory = tree.OwnScore(), idle.Find()
	if !traced {
		_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	}
	unix.Umask(0o022)
	_ = unix.Chdir("/")
	debug.SetGCPercent(idleGCPercent)
	procs, spare := min(runtime.NumCPU(), maxProcs), spareThreads
	if traced {
		procs = 1 // waiting for another processor's work is a call, and each call two stops
		spare = tracedSpareThreads
	}
	runtime.GOMAXPROCS(procs)
	reserveThreads(spare)
	return ownScore, memory
}

// reserveThreads makes threads while there may be more: what the sandbox runs can take every place that its limit leaves,
// and a Go program that can't make the thread that it needs ends. The runtime keeps those that are free.
func reserveThreads(count int) {
	var held, freed sync.WaitGroup
	release := make(chan struct{})
	held.Add(count)
	for range count {
		freed.Go(func() {
			runtime.LockOSThread() // no other goroutine may have it meanwhile
			defer runtime.UnlockOSThread()
			held.Done()
			<-release
		})
	}
	held.Wait()
	close(release)
	freed.Wait()
}

func listen(o options) (net.Listener, error) {
	if o.listenUnix != "" {
		return net.Listen("unix", o.listenUnix)
	}
	if o.stdio {
		in, out, err := takeStdio()
		if err != nil {
			return nil, fmt.Errorf("--stdio: %w", err)
		}
		return attached.Listen(in, out), nil
	}
	return inherited("--listen-fd", o.listenFD)
}

// inherited takes a listening socket that the agent was started with.
func inherited(flag string, fd int) (net.Listener, error) {
	unix.CloseOnExec(fd)
	file := os.NewFile(uintptr(fd), "listener")
	if file == nil {
		return nil, fmt.Errorf("%s %d is not open", flag, fd)
	}
	defer func() { _ = file.Close() }()
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("%s %d: %w", flag, fd, err)
	}
	return listener, nil
}

func forest(cgroupFD, ownScore int) tree.Forest {
	if cgroupFD < 0 {
		return tree.Walks(ownScore)
	}
	unix.CloseOnExec(cgroupFD)
	f, err := tree.Cgroups(cgroupFD)
	if err != nil {
		fmt.Fprintln(os.Stderr, "stacyvm-agent: trees are killed by best effort:", err)
		_ = unix.Close(cgroupFD)
		return tree.Walks(ownScore)
	}
	return f
}

// prepare makes the directories that programs expect. A root file system that allows neither is no reason to fail.
func prepare(o options, accounts *account.Database) {
	if unix.Mkdir(o.workdir, 0o755) == nil {
		if who, err := accounts.Resolve(o.user); err == nil {
			_ = unix.Lchown(o.workdir, int(who.User.UID), int(who.User.GID))
		}
	}
	if unix.Mkdir("/tmp", 0o777) == nil {
		_ = unix.Chmod("/tmp", 0o1777)
	}
}
