package osquery

import (
	"bytes"
	"crypto/sha1" // #nosec G505 -- the community id is made of it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
)

func networkFunctions() []function {
	return []function{
		{name: "inet_aton", min: 1, max: 1, call: onText(inetAton)},
		{name: "in_cidr_block", min: 2, max: 2, call: inCIDRBlock},
		{name: "community_id_v1", min: 5, max: 6, call: func(args []any) (any, error) {
			id, err := communityID(args)
			if err != nil {
				return nil, nil //nolint:nilerr // the lenient form answers NULL
			}
			return id, nil
		}},
		{name: "community_id_v1_strict", min: 5, max: 6, call: communityID},
	}
}

func inetAton(s string) any {
	address, err := netip.ParseAddr(s)
	if err != nil || !address.Is4() {
		return nil
	}
	four := address.As4()
	return int64(binary.BigEndian.Uint32(four[:]))
}

func inCIDRBlock(args []any) (any, error) {
	block, ok := args[0].(string)
	if !ok {
		return nil, errors.New("CIDR must be a string") //nolint:staticcheck // osquery's words
	}
	host, ok := args[1].(string)
	if !ok {
		return nil, errors.New("IP addresss must be a string") //nolint:staticcheck,misspell // osquery's words
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return nil, errors.New("IP address cannot be parsed") //nolint:staticcheck // osquery's words
	}
	prefix, err := netip.ParsePrefix(block)
	if err != nil || prefix.Addr().Is4() != address.Is4() {
		return nil, errors.New("CIDR cannot be parsed for that kind of IP address") //nolint:staticcheck // like osquery's words
	}
	return prefix.Contains(address.WithZone("")), nil
}

var errCommunityID = errors.New("Invalid inputs to community_id_v1") //nolint:staticcheck // like osquery's words

// communityID is the hash that names a flow in the tools that know it
// (source and destination address, source and destination port, protocol, seed).
func communityID(args []any) (any, error) {
	source, destination, err := addresses(args[0], args[1])
	if err != nil {
		return nil, err
	}
	var numbers [4]uint16 // source port, destination port, protocol, seed
	for i, arg := range args[2:] {
		n, ok := number(arg)
		if !ok || n < 0 || n > 65535 || i == 2 && n > 255 {
			return nil, errCommunityID
		}
		numbers[i] = uint16(n)
	}
	from, to := numbers[0], numbers[1]
	if order := bytes.Compare(source, destination); order > 0 || order == 0 && from > to {
		source, destination, from, to = destination, source, to, from
	}
	data := binary.BigEndian.AppendUint16(nil, numbers[3])
	data = append(append(data, source...), destination...)
	data = append(data, byte(numbers[2]), 0)
	data = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(data, from), to)
	sum := sha1.Sum(data) // #nosec G401
	return "1:" + base64.StdEncoding.EncodeToString(sum[:]), nil
}

func addresses(a, b any) (source, destination []byte, err error) {
	var pair [2][]byte
	for i, value := range []any{a, b} {
		s, _ := text(value)
		address, err := netip.ParseAddr(strings.TrimSpace(s))
		if err != nil {
			return nil, nil, errCommunityID
		}
		pair[i] = address.Unmap().AsSlice()
	}
	if len(pair[0]) != len(pair[1]) {
		return nil, nil, errCommunityID
	}
	return pair[0], pair[1], nil
}
