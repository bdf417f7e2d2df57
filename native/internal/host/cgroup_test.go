package host

import (
	"slices"
	"strings"
	"testing"
)

const (
	unifiedMounts = "25 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	legacyMounts  = "30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n" +
		"31 25 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	hybridMounts = legacyMounts + "32 25 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
)

func TestCgroupModeFollowsFromTheMounts(t *testing.T) {
	for mounts, want := range map[string]string{unifiedMounts: "unified", legacyMounts: "legacy", hybridMounts: "hybrid", "": "none"} {
		found, err := parseCgroupMounts(strings.NewReader(mounts))
		if err != nil || found.mode() != want {
			t.Errorf("mode of %q is %q, %v; want %q", mounts, found.mode(), err, want)
		}
	}
}

func TestASandboxHasOneDirectoryInEachHierarchy(t *testing.T) {
	found, _ := parseCgroupMounts(strings.NewReader(hybridMounts))
	want := []string{"/sys/fs/cgroup/cpu,cpuacct/stacyvm-x", "/sys/fs/cgroup/memory/stacyvm-x", "/sys/fs/cgroup/unified/stacyvm-x"}
	if got := found.directories("x"); !slices.Equal(got, want) {
		t.Errorf("directories are %q, want %q", got, want)
	}
	unified, _ := parseCgroupMounts(strings.NewReader(unifiedMounts))
	if got := unified.directories("x"); !slices.Equal(got, []string{"/sys/fs/cgroup/stacyvm-x"}) {
		t.Errorf("directories are %q", got)
	}
}

func TestAHierarchyMountedTwiceCountsOnce(t *testing.T) {
	found, _ := parseCgroupMounts(strings.NewReader(legacyMounts + "40 1 0:27 / /elsewhere rw - cgroup cgroup rw,memory\n"))
	if len(found.v1) != 2 {
		t.Errorf("found %v", found.v1)
	}
}
