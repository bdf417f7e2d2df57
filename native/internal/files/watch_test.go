package files

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"stacyvm/native/internal/fault"
)

func watch(t *testing.T, f *Files, dir string) *Watch {
	t.Helper()
	w, err := f.Watch(dir, WatchOptions{Recursive: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// await reads events until one of this kind and name has come.
func await(t *testing.T, w *Watch, kind EventType, name string) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case e, ok := <-w.Events:
			if !ok {
				t.Fatalf("ended before %s: %v", name, w.Err())
			}
			if e.Type == kind && e.Name == name {
				return
			}
		case <-deadline:
			t.Fatalf("never told: %d of %s", kind, name)
		}
	}
}

// drain reads what is queued until the watch has ended.
func drain(t *testing.T, w *Watch) (count int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-w.Events:
			if !ok {
				return count
			}
			count++
		case <-deadline:
			t.Fatal("the watch goes on")
		}
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never happened: %s", what)
		}
	}
}

func mustExceed(t *testing.T, bound string, err error) {
	t.Helper()
	if fault.KindOf(err) != fault.Exhausted || !strings.Contains(err.Error(), bound) {
		t.Errorf("%s: %v", bound, err)
	}
}

func makeAll(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAWatchHoldsItsBoundOfDirectoriesAndCountsThoseThatAreThere(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	f.Limits.WatchDirs = 3
	makeAll(t, dir+"/a", dir+"/b")
	w := watch(t, f, dir)
	for i := range 5 {
		name := strconv.Itoa(i)
		if err := os.Remove(dir + "/a"); err != nil {
			t.Fatal(err)
		}
		await(t, w, Removed, "a")
		makeAll(t, dir+"/a")
		await(t, w, Created, "a")
		if err := os.WriteFile(dir+"/a/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		await(t, w, Created, "a/"+name)
		_ = os.Remove(dir + "/a/" + name)
	}
	makeAll(t, dir+"/c")
	drain(t, w)
	mustExceed(t, "watch-dirs", w.Err())
	_, err := f.Watch(dir, WatchOptions{Recursive: true})
	mustExceed(t, "watch-dirs", err)
}

func TestAWatchQueuesItsBoundOfEventsAndEndsAtOneMore(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	f.Limits.WatchEvents = 4
	w := watch(t, f, dir)
	create := func(name string) {
		if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		create(strconv.Itoa(i))
	}
	eventually(t, "four events are queued", func() bool { return len(w.Events) == 4 })
	if w.Err() != nil {
		t.Errorf("at the bound: %v", w.Err())
	}
	create("one more")
	eventually(t, "the watch ends", func() bool { return w.Err() != nil })
	if n := drain(t, w); n != 4 {
		t.Errorf("%d events were kept", n)
	}
	mustExceed(t, "watch-events", w.Err())
}

func TestARenamedDirectoryIsWatchedUnderItsNewName(t *testing.T) {
	f, dir := newFiles(), t.TempDir()
	makeAll(t, dir+"/0/deep")
	w := watch(t, f, dir)
	for i := range 50 {
		from, to := strconv.Itoa(i), strconv.Itoa(i+1)
		if err := os.Rename(dir+"/"+from, dir+"/"+to); err != nil {
			t.Fatal(err)
		}
		await(t, w, Created, to+"/deep")
		for _, name := range []string{to + "/deep/" + to, to + "/" + to + "f"} {
			if err := os.WriteFile(dir+"/"+name, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			await(t, w, Created, name)
		}
	}
}

func TestADirectoryIsToldBeforeWhatItCameWith(t *testing.T) {
	f, dir, aside := newFiles(), t.TempDir(), t.TempDir()
	makeAll(t, aside+"/came/deep")
	w := watch(t, f, dir)
	if err := os.Rename(aside+"/came", dir+"/came"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"came", "came/deep"} {
		select {
		case e := <-w.Events:
			if e.Name != want || e.Type != Created {
				t.Errorf("told %d of %s instead of %s", e.Type, e.Name, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("never told: %s", want)
		}
	}
}
