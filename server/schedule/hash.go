package schedule

import (
	"crypto/sha1" //nolint:gosec // osquery's choice of digest for its config, no protection
	"encoding/hex"
)

// ConfigHash predicts osquery_info.config_hash of an agent that runs a config as
// ConfigFor gives it (osquery-tls 2.7). It holds for Plain and, since the etag is
// taken out again before an agent hashes, for hosts that got WithETag.
func ConfigHash(plain []byte) string {
	return sha1Hex([]byte(sha1Hex(plain)))
}

// sha1Hex of compact JSON is what osquery keeps for one source of its config.
func sha1Hex(data []byte) string {
	sum := sha1.Sum(data) //nolint:gosec // see above
	return hex.EncodeToString(sum[:])
}
