package hosts

import (
	"context"
	"fmt"
	"strings"

	"muster/server/database"
)

// numberedNames is how many numbers are tried before a random end is.
const numberedNames = 8

// freeIdentifier is the identifier that the agent claims, or, when another host
// has that, one made from it: with the first characters of the instance id, with
// a number, or with random characters. own is the agent's host, nil for a new one.
func (a *admission) freeIdentifier(ctx context.Context, own *known) (string, error) {
	ownID := int64(0)
	if own != nil {
		ownID = own.ID
	}
	for _, name := range identifiers(a.identifier, a.instanceID) {
		if own != nil && own.Identifier == name {
			return name, nil
		}
		var taken int64
		if err := a.tx.Read(ctx).Raw("SELECT count(*) FROM hosts WHERE identifier = ? AND id <> ?", name, ownID).Scan(&taken).Error; err != nil {
			return "", database.Fault(err)
		}
		if taken == 0 {
			return name, nil
		}
		if own != nil && strings.HasPrefix(own.Identifier, a.identifier+"-") {
			return own.Identifier, nil // made from the same claim before
		}
	}
	return fmt.Sprintf("%s-%s", a.identifier, newNodeKey()[:8]), nil
}

// identifiers are the names to try, the best first.
func identifiers(claimed, instanceID string) []string {
	names := []string{claimed}
	if instanceID != "" {
		names = append(names, claimed+"-"+clip(instanceID, 8))
	}
	for number := 2; number < 2+numberedNames; number++ {
		names = append(names, fmt.Sprintf("%s-%d", claimed, number))
	}
	return names
}
