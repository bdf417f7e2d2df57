package host

import (
	"bytes"
	"encoding/json"
)

type idMapping struct {
	ContainerID int `json:"containerID"`
	HostID      int `json:"hostID"`
	Size        int `json:"size"`
}

// completeSpec fills in what only this program knows: the root, the user ids and the cgroup. A request that names one
// of them itself is refused, so no request can choose a host path or host user.
func completeSpec(config json.RawMessage, rootPath, cgroup string, base int) ([]byte, error) {
	var spec, linux map[string]json.RawMessage
	if err := json.Unmarshal(config, &spec); err != nil {
		return nil, fail(codeInvalid, "config: %v", err)
	}
	if err := json.Unmarshal(spec["linux"], &linux); err != nil {
		return nil, fail(codeInvalid, "config.linux: %v", err)
	}
	for _, name := range []string{"root", "hooks"} {
		if _, ok := spec[name]; ok {
			return nil, fail(codeInvalid, "config.%s is not the caller's to set", name)
		}
	}
	for _, name := range []string{"uidMappings", "gidMappings", "cgroupsPath"} {
		if _, ok := linux[name]; ok {
			return nil, fail(codeInvalid, "config.linux.%s is not the caller's to set", name)
		}
	}
	mapping := marshal([]idMapping{{HostID: base, Size: idsPerSandbox}})
	linux["uidMappings"], linux["gidMappings"] = mapping, mapping
	linux["cgroupsPath"] = marshal(cgroup)
	spec["linux"] = marshal(linux)
	spec["root"] = marshal(map[string]any{"path": rootPath, "readonly": false})
	return marshal(spec), nil
}

func marshal(value any) json.RawMessage {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // only maps, strings and numbers come here
	}
	return data
}

// agentSource stands for the agent's path in a mount of the request.
const agentSource = `"@agent"`

func withAgent(config json.RawMessage, agentPath string) json.RawMessage {
	return bytes.ReplaceAll(config, []byte(agentSource), marshal(agentPath))
}
