package outputs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"muster/server/database"
	"muster/server/fault"
)

// receiverRow is a row of the table alerters.
type receiverRow struct {
	ID                   int64
	Name, Kind           string
	Active, BuiltIn      int64
	Settings             string // secrets are sealed
	CreatedAt, UpdatedAt int64
}

const receiverFields = "id, name, kind, active, built_in, settings, created_at, updated_at"

func findReceiver(ctx context.Context, db *database.DB, name string) (receiverRow, error) {
	var rows []receiverRow
	if !receiverName.MatchString(name) {
		return receiverRow{}, errNoReceiver
	}
	if err := db.Read(ctx).Raw("SELECT "+receiverFields+" FROM alerters WHERE name = ?", name).Scan(&rows).Error; err != nil {
		return receiverRow{}, database.Fault(err)
	}
	if len(rows) == 0 {
		return receiverRow{}, errNoReceiver
	}
	return rows[0], nil
}

var errNoReceiver error = fault.New(fault.NotFound, "There is no alerter with this name")

func flag(on bool) int64 {
	if on {
		return 1
	}
	return 0
}

// shown is an alerter with masks in the place of secrets. What cannot be opened any
// more is a mask as well.
func (a *Alerters) shown(r receiverRow) Receiver {
	plain, lost := a.opened(r)
	mask(plain, lost)
	text, err := json.Marshal(plain)
	if err != nil {
		text = []byte("{}")
	}
	return Receiver{
		ID: r.ID, Name: r.Name, Kind: r.Kind, Active: r.Active != 0, BuiltIn: r.BuiltIn != 0, Settings: text,
		Created: database.FromMicros(r.CreatedAt), Updated: database.FromMicros(r.UpdatedAt),
	}
}

// mask puts what is shown in the place of secrets.
func mask(s kindSettings, lost map[string]bool) {
	for _, secret := range s.secrets() {
		if lost[secret.field] {
			*secret.value = Mask
		} else {
			*secret.value = secret.show()
		}
	}
}

// opened are the settings of a row with plain secrets, but for those that are lost:
// they were sealed with another key.
func (a *Alerters) opened(r receiverRow) (s kindSettings, lost map[string]bool) {
	s, lost = &debugSettings{}, map[string]bool{}
	if blank, known := kinds[r.Kind]; known {
		s = blank()
	}
	_ = json.Unmarshal([]byte(r.Settings), s) // we wrote it
	for _, secret := range s.secrets() {
		if *secret.value == "" {
			continue
		}
		plain, err := a.Box.Open(sealedFor(r.Name, secret.field), *secret.value)
		if *secret.value = string(plain); err != nil {
			lost[secret.field] = true
		}
	}
	_ = s.check() // puts defaults in; one that nobody configured yet is not complete
	return s, lost
}

// sealedFor is the purpose of a secret: nobody who can write the database moves one
// to another alerter or field.
func sealedFor(name, field string) string { return "alerter." + name + "." + field }

const (
	maxSettings = 128 << 10
	enterAgain  = "%s has to be entered again"
)

// merged are the settings of a row with change over them, checked and as they are
// stored. fresh: there are none yet.
func (a *Alerters) merged(r receiverRow, change json.RawMessage, fresh bool) (string, error) {
	if len(change) > maxSettings {
		return "", fault.New(fault.Unprocessable, "settings has more than %d bytes", maxSettings)
	}
	next, old := kinds[r.Kind](), kinds[r.Kind]()
	if !fresh {
		var lost map[string]bool
		next, lost = a.opened(r)
		old, _ = a.opened(r)
		mask(next, lost) // what is not sent is as good as what was shown
	}
	if change != nil {
		if err := decodeSettings(change, next); err != nil {
			return "", err
		}
	}
	if err := keepSecrets(next, old); err != nil {
		return "", err
	}
	if err := next.check(); err != nil {
		return "", err
	}
	for _, secret := range next.secrets() {
		if *secret.value == "" {
			continue
		}
		sealed, err := a.Box.Seal(sealedFor(r.Name, secret.field), []byte(*secret.value))
		if err != nil {
			return "", err
		}
		*secret.value = sealed
	}
	text, err := json.Marshal(next)
	return string(text), err
}

// decodeSettings reads fields over settings.
func decodeSettings(change json.RawMessage, into kindSettings) error {
	decoder := json.NewDecoder(bytes.NewReader(change))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrongType) && wrongType.Field != "":
		return fault.New(fault.Unprocessable, "settings: %.80s is a %s", wrongType.Field, wrongType.Value)
	case strings.Contains(err.Error(), "unknown field"):
		_, field, _ := strings.Cut(err.Error(), "unknown field ")
		return fault.New(fault.Unprocessable, "settings: this kind of alerter has no %.80s", field)
	}
	return fault.New(fault.Unprocessable, "settings is no JSON object")
}

// keepSecrets puts the stored secrets where next has them as they were shown. They
// stay with the receiver that they are for: whoever names another one enters them
// again.
func keepSecrets(next, old kindSettings) error {
	before := old.secrets()
	var kept []string
	for i, s := range next.secrets() {
		was := before[i]
		switch {
		case *s.value != "" && *was.value != "" && (*s.value == was.show() || *s.value == Mask):
			*s.value = *was.value
			kept = append(kept, s.field)
		case strings.Contains(*s.value, Mask):
			return fault.New(fault.Unprocessable, enterAgain, s.field)
		}
	}
	if len(kept) > 0 && next.receiver() != old.receiver() {
		return fault.New(fault.Unprocessable, enterAgain+" when it goes to another receiver", strings.Join(kept, ", "))
	}
	return nil
}
