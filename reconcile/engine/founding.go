package engine

// foundAlone keeps those who have one e-mail and no org from making one each at the
// same time: the second then finds that of the first. What it returns lets the next go.
func (r *run) foundAlone(w customerWork) func() {
	if w.founds == 0 {
		return func() {}
	}
	turn := &r.founding[w.founds%uint64(len(r.founding))]
	turn.Lock()
	return turn.Unlock
}
