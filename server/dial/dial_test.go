package dial

import (
	"context"
	"errors"
	"net/netip"
	"testing"
)

func TestAddressesThatAreCalled(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1": true, "10.1.2.3": true, "192.0.2.1": true, "::1": true, "fd00::1": true, "2001:db8::1": true, "100.100.100.1": true, "64:ff9b::192.0.2.1": true,
		"169.254.169.254": false, "::ffff:169.254.169.254": false, "64:ff9b::169.254.169.254": false, "fe80::1%eth0": false, "fd00:ec2::254": false,
		"100.100.100.200": false, "192.0.0.192": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false,
	} {
		if got := May(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
}

func TestDialingLooksAtTheAddress(t *testing.T) {
	conn, err := New().DialContext(context.Background(), "tcp", "169.254.169.254:80")
	if !errors.Is(err, ErrNotCalled) {
		t.Errorf("%v %v", conn, err)
	}
}
