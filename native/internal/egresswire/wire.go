// Package egresswire is what a sandbox's agent and the egress gateway say to each other on the sandbox's egress door.
//
// The agent accepts, the gateway dials. A connection's first byte tells what it is. On a slot the agent asks and the
// gateway answers, one frame each: a uint16 length, big-endian, and that many bytes of JSON. After a successful open the
// slot carries the connection's bytes; after any other answer to an open it ends; after the others it may be asked again.
//
// A slot that ends before an answer has carried nothing, so that the agent asks again on another one: the gateway closes
// slots that have waited for long, and may do so as a request comes in.
package egresswire

// What the first byte on a connection to the door says.
const (
	// KindTun comes with one descriptor (SCM_RIGHTS), the sandbox's network device; taken once.
	KindTun = 'T'
	// KindSlot is a slot of the gateway.
	KindSlot = 'F'
)

// What a request asks for.
const (
	// OpenTCP wants a connection to Host or Address, at Port.
	OpenTCP = "tcp"
	// OpenResolve wants to know whether Host exists and may be connected to.
	OpenResolve = "resolve"
	// OpenDNS wants Message answered, a DNS query for another type than addresses.
	OpenDNS = "dns"
)

// Request is what the agent asks.
type Request struct {
	Open string `json:"open"`
	// Host is a name as Name returns it.
	Host string `json:"host,omitempty"`
	// Address is an IP literal; there is a host or an address.
	Address string `json:"address,omitempty"`
	Port    int    `json:"port,omitempty"`
	// Message is base64 of a DNS message without the length that TCP puts in front.
	Message string `json:"message,omitempty"`
}

// Codes of errors.
const (
	Denied      = "denied"       // by the policy, or always
	Refused     = "refused"      // the other end did
	Unreachable = "unreachable"  // no route, or none that is working
	Timeout     = "timeout"      // nobody answered
	Limit       = "limit"        // of the sandbox's connections
	UnknownHost = "unknown_host" // the name doesn't exist
	NoAddress   = "no_address"   // the name exists and has none
	Unavailable = "unavailable"  // no resolver answered
	Invalid     = "invalid"      // the request
)

// Answer is what the gateway says to a request: OK, or an error's code with what it means.
type Answer struct {
	OK bool `json:"ok,omitempty"`
	// TTL is how many seconds the answer to a resolve may be kept.
	TTL uint32 `json:"ttl,omitempty"`
	// Message is base64 of a DNS message where OK answers a dns request, and text for a person beside an error.
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
}
