package simulator

import (
	"bytes"
	"encoding/json"
)

// keepOfList shortens a listing of either service to a part of its elements and
// makes it look complete. Other bodies stay as they are.
func keepOfList(body []byte, part float64) []byte {
	var list map[string]json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		return body
	}
	field := "items"
	if _, ok := list["data"]; ok {
		field = "data"
	}
	var rows []json.RawMessage
	if json.Unmarshal(list[field], &rows) != nil || rows == nil {
		return body
	}
	rows = rows[:int(float64(len(rows))*part)]
	short, err := json.Marshal(rows)
	if err != nil {
		return body
	}
	list[field] = short
	if field == "data" {
		list["has_more"] = json.RawMessage("false")
	} else {
		list["total"] = json.RawMessage(itoa(int64(len(rows))))
	}
	out, err := json.Marshal(list)
	if err != nil {
		return body
	}
	return out
}

func flipLivemode(body []byte) []byte {
	const yes, no, other = `"livemode":true`, `"livemode":false`, `"livemode":?`
	body = bytes.ReplaceAll(body, []byte(yes), []byte(other))
	body = bytes.ReplaceAll(body, []byte(no), []byte(yes))
	return bytes.ReplaceAll(body, []byte(other), []byte(no))
}
