package account

import "strconv"

func nameOf(names map[uint32]string) func(uint32) string {
	return func(id uint32) string {
		if name, ok := names[id]; ok {
			return name
		}
		return strconv.FormatUint(uint64(id), 10)
	}
}
