package hosts

import (
	"slices"
	"sync"
	"sync/atomic"
)

// entry is the place of one host in memory. The snapshot in it is replaced as a
// whole; contact times move forward on their own.
type entry struct {
	id       int64
	host     atomic.Pointer[Host]
	contacts contacts
	asks     asks
	keys     []keyHash // guarded by register.mu
}

// current returns the snapshot with the newest contact times laid over it.
func (e *entry) current() *Host {
	h := *e.host.Load()
	e.contacts.times().onto(&h)
	h.LastIP = e.contacts.address()
	return &h
}

// keyPlace says whose key it is and until when it authenticates.
type keyPlace struct {
	entry      *entry
	validUntil int64 // microseconds; 0 = current
}

// register is the memory: every host by id and identifier, every key by hash.
// Its size is that of the tables hosts and node_keys.
type register struct {
	mu           sync.RWMutex
	byID         map[int64]*entry
	byIdentifier map[string]*entry
	keys         map[keyHash]keyPlace
	newest       int64 // the highest version seen, in microseconds
}

func newRegister() *register {
	return &register{byID: map[int64]*entry{}, byIdentifier: map[string]*entry{}, keys: map[keyHash]keyPlace{}}
}

// install shows records to readers. A record older than what is shown is ignored,
// so that a slow reader of the database cannot undo a newer change.
func (r *register) install(records []record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range records {
		h := record.host
		r.newest = max(r.newest, h.version)
		e := r.byID[h.ID]
		if e == nil {
			e = &entry{id: h.ID}
			r.byID[h.ID] = e
		} else if old := e.host.Load(); h.version < old.version {
			continue
		} else if old.Identifier != h.Identifier && r.byIdentifier[old.Identifier] == e {
			delete(r.byIdentifier, old.Identifier)
		}
		e.contacts.learn(timesOf(h), h.LastIP)
		e.host.Store(h)
		r.byIdentifier[h.Identifier] = e
		r.replaceKeys(e, record.keys)
	}
}

func (r *register) replaceKeys(e *entry, keys []storedKey) {
	for _, hash := range e.keys {
		delete(r.keys, hash)
	}
	e.keys = make([]keyHash, len(keys))
	for i, key := range keys {
		e.keys[i] = key.hash
		r.keys[key.hash] = keyPlace{entry: e, validUntil: key.validUntil}
	}
}

// dropKeys forgets the keys that stopped authenticating before now.
func (r *register) dropKeys(now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for hash, place := range r.keys {
		if place.validUntil != 0 && place.validUntil < now {
			delete(r.keys, hash)
			place.entry.keys = slices.DeleteFunc(place.entry.keys, func(k keyHash) bool { return k == hash })
		}
	}
}

func (r *register) key(hash keyHash) (keyPlace, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	place, found := r.keys[hash]
	return place, found
}

func (r *register) get(id int64) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

func (r *register) named(identifier string) *entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byIdentifier[identifier]
}

// entries returns every host, in no order.
func (r *register) entries() []*entry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]*entry, 0, len(r.byID))
	for _, e := range r.byID {
		all = append(all, e)
	}
	return all
}

// version returns the version shown of a host, 0 when it is not in memory.
func (r *register) version(id int64) int64 {
	if e := r.get(id); e != nil {
		return e.host.Load().version
	}
	return 0
}

// newestSeen returns the highest version ever installed.
func (r *register) newestSeen() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.newest
}
