package adminapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"muster/server/carves"
	"muster/server/results"
)

// example is one endpoint of the API's document: asked as the document shows, it
// must say the document's message and answer with at least its keys, each with a
// value of the same kind.
type example struct {
	title, method, path string
	send                map[string]any
	file                *upload
	message             string
	shape               string // JSON: the keys, and values of the right kind; null is any
	text                string // instead of an envelope: how a file begins
}

type upload struct{ name, content string }

// The identifiers in the examples.
const (
	webHost  = "11111111-AAAA-4AAA-8AAA-111111111111"
	deskHost = "22222222-BBBB-4BBB-8BBB-222222222222"
	aHash    = "275a71899f7db9d1663fc695ec2fe2a2"
)

var nameConditions = map[string]any{"condition": "OR", "valid": true, "rules": []any{
	map[string]any{"id": "name", "field": "name", "type": "string", "input": "text", "operator": "contains", "value": "EC2"},
	map[string]any{"id": "name", "field": "name", "type": "string", "input": "text", "operator": "equal", "value": "pc"},
}}

const (
	hostShape  = `{"id":2,"display_name":"","host_identifier":"","os_info":{"name":""},"tags":[""],"last_ip":"","is_active":false}`
	queryShape = `{"id":1,"name":"","sql":"","interval":1,"platform":null,"version":null,"description":null,"value":null,"snapshot":true,"shard":null,"tags":[],"packs":[""]}`
	packShape  = `{"id":1,"name":"","platform":null,"version":null,"description":null,"shard":null,"category":"","tags":[],"queries":[` + queryShape + `]}`
	huntShape  = `[{"hostname":"","host_identifier":"","queries":[{"query_name":"","count":1}]}]`
	ruleShape  = `{"id":147,"alerters":[""],"conditions":{"rules":[{"id":"","type":"","field":"","input":"","value":"","operator":""}],"valid":true,"condition":""},"description":"",` +
		`"name":"","severity":"","status":"","updated_at":"","type":"","tactics":[""],"technique_id":""}`
	childShape = `{"color":"","name":"","data":{"path":"","action":""}}`
	alertShape = `{"node_id":1,"rule_id":1,"severity":"","created_at":"","type":"","source":"","status":"","hostname":"","rule":{"name":"","id":1}`
	mailShape  = `{"data":{"email":"","emailRecipients":"","emails":"","password":"","smtpAddress":"","smtpPort":1}}`
)

// examples follow the document's sections; what one stores a later one finds.
func examples(session string) []example {
	host := func(more map[string]any) map[string]any {
		args := map[string]any{"host_identifier": deskHost, "node_id": 2}
		for name, value := range more {
			args[name] = value
		}
		return args
	}
	mail := map[string]any{"emalRecipients": "janedoe@example.com,charliedoe@example.com", "email": "johndoe@example.com",
		"smtpAddress": "127.0.0.1", "password": "a", "smtpPort": 445}
	options := map[string]any{"custom_plgx_EnableLogging": "true", "custom_plgx_LogLevel": "1", "schedule_splay_percent": 10}
	conditions := func(more map[string]any) map[string]any {
		args := map[string]any{"conditions": nameConditions}
		for name, value := range more {
			args[name] = value
		}
		return args
	}
	query := map[string]any{"name": "running_process_query", "query": "select * from processes;", "interval": 5, "platform": "windows",
		"version": "2.9.0", "snapshot": "true", "description": "Processes", "value": "Processes", "tags": "finance,sales"}
	rule := map[string]any{"alerters": "debug,email", "conditions": leaf("action", "equal", "test"), "description": "tesing", "name": "test123", "severity": "INFO",
		"status": "ACTIVE", "updated_at": "2020-06-30T07:46:00.265400", "type": "MITRE", "tactics": "defense-evasion", "technique_id": "T1070, T1005"}
	hashes := &upload{"hunt.txt", aHash + "\n275a71899fdjsaddb9d1663fc695ec2fe2a2c453fsgs\r\n"}
	return []example{
		{title: "download", method: "GET", path: "/downloads/certificate.crt", text: "-----BEGIN CERTIFICATE-----"},
		{title: "login", method: "POST", path: "/login", send: map[string]any{"username": "admin", "password": adminPassword}, shape: `{"x-access-token":""}`},
		{title: "options set", method: "POST", path: "/options/add", send: map[string]any{"option": options}, message: "options are updated successfully",
			shape: `{"data":{"custom_plgx_EnableLogging":"","custom_plgx_LogLevel":"","schedule_splay_percent":1}}`},
		{title: "options", method: "GET", path: "/options", message: "options are updated successfully",
			shape: `{"data":{"custom_plgx_EnableLogging":"","custom_plgx_LogLevel":"","schedule_splay_percent":1}}`},
		{title: "keys set", method: "POST", path: "/management/apikeys", message: "Threat Intel keys are updated successfully", send: map[string]any{
			"IBMxForceKey": "304020f8-99fd-4a17-9e72-80033278810a", "IBMxForcePass": "6710f119-9966-4d94-a7ad-9f98e62373c8", "vt_key": "69f922502ee0ea95", "otx_key": "69f922502ee0"},
			shape: `{"data":{"ibmxforce":{"key":"","pass":""},"virustotal":{"key":""}}}`},
		{title: "keys", method: "GET", path: "/management/apikeys", message: "Threat Intel keys are fetched successfully",
			shape: `{"data":{"ibmxforce":{"key":"","pass":""},"virustotal":{"key":""}}}`},
		{title: "mail set", method: "POST", path: "/email/configure", send: mail, message: "Successfully updated the details", shape: mailShape},
		{title: "mail", method: "GET", path: "/email/configure", message: "Successfully fetched the details", shape: mailShape},
		{title: "purge set", method: "POST", path: "/purge/update", send: map[string]any{"days": 2}, message: "Purge data duration is changed successfully", shape: `{}`},
		{title: "purge", method: "GET", path: "/purge/update", message: "Purge data present duration is fetched successfully", shape: `{"data":7}`},
		{title: "dashboard", method: "GET", path: "/dashboard", message: "Data is fetched successfully", shape: `{"data":{
			"alert_data":{"top_five":{"rule":[],"hosts":[],"query":[]},"source":{
				"ioc":{"INFO":0,"LOW":0,"WARNING":0,"CRITICAL":0,"TOTAL":0},"rule":{"INFO":0,"LOW":0,"WARNING":0,"CRITICAL":0,"TOTAL":0},
				"virustotal":{"INFO":0,"LOW":0,"WARNING":0,"CRITICAL":0,"TOTAL":0},"ibmxforce":{"INFO":0,"LOW":0,"WARNING":0,"CRITICAL":0,"TOTAL":0},
				"alienvault":{"INFO":0,"LOW":0,"WARNING":0,"CRITICAL":0,"TOTAL":0}}},
			"distribution_and_status":{"hosts_platform_count":[{"os_name":"","count":1}],"hosts_status_count":{"online":1,"offline":1}}}}`},

		{title: "hosts export", method: "GET", path: "/hosts/export", text: "Host_Identifier,"},
		{title: "hosts", method: "POST", path: "/hosts", send: map[string]any{"status": false, "platform": "windows", "searchterm": "desk", "start": 0, "limit": 10, "enabled": true},
			message: "Successfully fetched the nodes details", shape: `{"data":{"results":[` + hostShape + `],"count":1,"total_count":1}}`},
		{title: "host", method: "GET", path: "/hosts/" + webHost, message: "Node details is fetched successfully", shape: `{"data":{"id":1,"host_identifier":"",
			"node_key":"","last_ip":"","os_info":{},"node_info":{"computer_name":"","hardware_model":"","hardware_serial":"","hardware_vendor":"","physical_memory":"","cpu_physical_cores":""},
			"network_info":[],"last_checkin":"","enrolled_on":"","last_status":"","last_result":null,"last_config":"","last_query_read":"","last_query_write":null}}`},
		{title: "hosts count", method: "GET", path: "/hosts/count", message: "Successfully fetched the nodes status count",
			shape: `{"data":{"windows":{"online":0,"offline":0},"linux":{"online":0,"offline":0},"darwin":{"online":0,"offline":0}}}`},
		{title: "status logs", method: "POST", path: "/hosts/status_logs", send: host(map[string]any{"start": 0, "limit": 10, "searchterm": ""}), message: "Successfully fetched the node's status logs",
			shape: `{"data":{"results":[{"line":1,"message":"","severity":1,"filename":"","created":"","version":""}],"count":1,"total_count":1}}`},
		{title: "host tag add", method: "POST", path: "/hosts/" + deskHost + "/tags", send: map[string]any{"tag": "test"}, message: "Successfully created tags to host", shape: `{}`},
		{title: "host tags", method: "GET", path: "/hosts/2/tags", message: "Successfully fetched the tags of host", shape: `{"data":[""]}`},
		{title: "additional config", method: "POST", path: "/hosts/additional_config", send: host(nil),
			message: "Successfully fetched additional config of the node for the host identifier passed", shape: `{"data":{"queries":[],"packs":[],"tags":[""]}}`},
		{title: "config of a host", method: "POST", path: "/hosts/config", send: host(nil), message: "Successfully fetched full config of the node for the host identifier passed",
			shape: `{"data":{"options":{},"file_paths":{},"queries":{},"packs":[],"filters":{}}}`},
		{title: "activity count", method: "POST", path: "/hosts/recent_activity/count", send: host(nil),
			message: "Successfully fetched the count of schedule query results count of host identifier passed", shape: `{"data":[{"name":"","count":1}]}`},
		{title: "activity", method: "POST", path: "/hosts/recent_activity", send: host(map[string]any{"query_name": "certificates", "start": 0, "limit": 2, "searchterm": ""}),
			message: "Successfully fetched the schedule query results of host identifier passed",
			shape:   `{"data":{"count":1,"total_count":1,"results":[{"timestamp":"","action":"","columns":{"path":"","issuer":"","common_name":"","self_signed":"","not_valid_after":""}}]}}`},
		{title: "host tag remove", method: "DELETE", path: "/hosts/2/tags", send: map[string]any{"tag": "test"}, message: "Successfully removed tags from host", shape: `{}`},
		{title: "search export", method: "POST", path: "/hosts/search/export", send: conditions(map[string]any{"host_identifier": deskHost, "query_name": "per_query_perf"}), text: "name"},

		{title: "hunt upload", method: "POST", path: "/hunt-upload", file: hashes, send: map[string]any{"type": "md5"}, message: "Successfully fetched the results through the hunt", shape: `{"data":` + huntShape + `}`},
		{title: "hunt upload of a host", method: "POST", path: "/hunt-upload", file: hashes,
			send: map[string]any{"type": "md5", "host_identifier": deskHost, "query_name": "win_file_events", "start": "0", "limit": "10"}, message: "Successfully fetched the results through the hunt",
			shape: `{"data":{"count":1,"results":[{"md5":"","target_path":""}]}}`},
		{title: "hunt indicators", method: "POST", path: "/indicators/hunt", send: map[string]any{"indicators": strings.ToUpper(aHash) + ", 275a71899fdjsaddb9d1663fc695ec2fe2a2c453fsgs", "type": "md5"},
			message: "Successfully fetched the results through the hunt", shape: `{"data":` + huntShape + `}`},
		{title: "hunt indicators of a host", method: "POST", path: "/indicators/hunt",
			send: map[string]any{"indicators": aHash, "type": "md5", "host_identifier": deskHost, "query_name": "win_file_events", "start": 0, "limit": 10}, message: "Successfully fetched the results through the hunt",
			shape: `{"data":{"count":1,"results":[{"md5":"","target_path":""}]}}`},
		{title: "hunt export", method: "POST", path: "/hunt-upload/export", file: hashes, send: map[string]any{"type": "md5", "host_identifier": deskHost, "query_name": "win_file_events"}, text: "md5,target_path"},
		{title: "search", method: "POST", path: "/search", send: conditions(nil), message: "Successfully fetched the results through the payload given", shape: `{"data":` + huntShape + `}`},
		{title: "search of a host", method: "POST", path: "/search", send: conditions(map[string]any{"host_identifier": deskHost, "query_name": "per_query_perf", "start": 0, "limit": 2}),
			message: "Successfully fetched the results through the payload given", shape: `{"data":{"count":1,"results":[{"name":""}]}}`},
		{title: "scheduled export", method: "POST", path: "/schedule_query/export", send: map[string]any{"query_name": "certificates", "host_identifier": deskHost}, text: "path,"},
		{title: "result delete", method: "POST", path: "/queryresult/delete", send: map[string]any{"days_of_data": 2}, message: "Query result data is deleted successfully", shape: `{"data":7}`},

		{title: "tag add", method: "POST", path: "/tags/add", send: map[string]any{"tag": "test67"}, message: "Tag is added successfully", shape: `{}`},
		{title: "query add", method: "POST", path: "/queries/add", send: query, message: "Successfully added the query for the data given", shape: `{"query_id":1}`},
		{title: "pack add", method: "POST", path: "/packs/add", message: "Imported query pack and pack is added successfully", shape: `{"pack_id":1}`, send: map[string]any{
			"name": "process_query_pack", "tags": "finance, sales", "category": "General", "queries": map[string]any{"win_file_events": map[string]any{
				"query": "select * from processes;", "interval": 5, "platform": "windows", "version": "2.9.0", "description": "Processes", "value": "Processes"}}}},
		{title: "tags", method: "GET", path: "/tags", send: map[string]any{"searchterm": "finance", "start": 0, "limit": 10}, message: "Successfully fetched the tags info",
			shape: `{"data":{"count":1,"total_count":1,"results":[{"value":"","nodes":[],"packs":[""],"queries":[""],"file_paths":[]}]}}`},
		{title: "host tag for tagged", method: "POST", path: "/hosts/1/tags", send: map[string]any{"tag": "finance"}, message: "Successfully created tags to host", shape: `{}`},
		{title: "tagged", method: "POST", path: "/tags/tagged", send: map[string]any{"tags": "finance"}, message: "All hosts, queries, packs for the tag provided!",
			shape: `{"data":{"hosts":[` + hostShape + `],"packs":[` + packShape + `],"queries":[` + strings.Replace(queryShape, `"packs":[""]`, `"packs":[]`, 1) + `]}}`},
		{title: "tag delete", method: "POST", path: "/tags/delete", send: map[string]any{"tag": "test67"}, message: "Tag is deleted successfully", shape: `{}`},

		{title: "carves", method: "POST", path: "/carves", send: map[string]any{"host_identifier": webHost, "start": 0, "limit": 10}, message: "Successfully fetched the Carves data",
			shape: `{"data":{"count":1,"results":[{"id":1,"node_id":1,"session_id":"","carve_guid":"","carve_size":1,"block_size":1,"block_count":1,"archive":"","status":"","created_at":"","hostname":""}]}}`},
		{title: "carve download", method: "GET", path: "/carves/download/" + session, text: "a carved file"},
		{title: "carve delete", method: "POST", path: "/carves/delete", send: map[string]any{"session_id": " " + session}, message: "Carve is deleted successfully", shape: `{}`},

		{title: "yara add", method: "POST", path: "/yara/add", file: &upload{"Sample.yara", "rule sample { condition: true }\n"}, message: "Successfully uploaded the file", shape: `{}`},
		{title: "yara", method: "GET", path: "/yara", message: "Successfully fetched the yara files", shape: `{"data":[""]}`},
		{title: "yara view", method: "POST", path: "/yara/view", send: map[string]any{"file_name": "sample.yara"}, message: "Successfully fetched the yara file content!", shape: `{"data":""}`},
		{title: "iocs add", method: "POST", path: "/iocs/add", send: map[string]any{"data": documentIOCs}, message: "Successfully updated the intel data", shape: `{}`},
		{title: "iocs", method: "GET", path: "/iocs", message: "Successfully fetched the iocs",
			shape: `{"data":{"test-intel_ipv4":{"type":"","severity":"","intel_type":"","values":""},"test-intel_domain_name":{},"test-intel_md5":{}}}`},
		{title: "yara delete", method: "POST", path: "/yara/delete", send: map[string]any{"file_name": "sample.yara"}, message: "File with the given file name is deleted successfully", shape: `{}`},

		{title: "alerts by source", method: "GET", path: "/alerts/count_by_source", send: map[string]any{"resolved": false}, message: "Data is fetched successfully",
			shape: `{"data":{"alert_source":[{"name":"","count":0}]}}`},
		{title: "alerts", method: "POST", path: "/alerts", message: "Data is fetched successfully", send: map[string]any{"source": "rule", "resolved": false, "start": 0, "limit": 1,
			"searchterm": "", "event_ids": []int{}, "duration": "3", "date": "2026-3-1", "type": "2"},
			shape: `{"data":{"count":1,"total_count":1,"results":[` + alertShape + `,"id":1,"alerted_entry":{"path":""}}]}}`},
		{title: "alert", method: "GET", path: "/alerts/{alert_id}", message: "Successfully fetched the Alerts data",
			shape: `{"data":` + alertShape + `,"query_name":"","message":{"path":""},"recon_queries":{},"source_data":{},"platform":""}}`},
		{title: "alert resolve", method: "PUT", path: "/alerts/{alert_id}", send: map[string]any{"resolve": true}, message: "Alert status is changed successfully", shape: `{}`},
		{title: "alerts export", method: "POST", path: "/alert_source/export", send: map[string]any{"source": "rule"}, text: "alert_id,alert_created_at,"},
		{title: "alerts graph", method: "GET", path: "/alerts/graph", send: map[string]any{"source": "ioc", "duration": "3", "date": "2026-3-1", "type": "2"}, message: "Data is fetched successfully",
			shape: `{"data":[{"start":1.5,"content":"","event_id":1,"className":""}]}`},
		{title: "alert events", method: "GET", path: "/alerts/{alert_id}/events", message: "Successfully fetched the Alert's events data",
			shape: `{"data":{"schedule_query_data_list_obj":[{"name":"","data":[{"time":"","date":""}]}],"system_state_data_list":[""]}}`},
		{title: "alert process", method: "POST", path: "/alerts/process", message: "Data is fetched successfully", send: map[string]any{"process_guid": "P-2", "alert_id": "1", "node_id": 2},
			shape: `{"data":{"name":"","path":"","all_children":[{"action":"","count":4,"color":"","node_type":"","children":[` + childShape + `],"last_time":"","all_children":[` + childShape +
				`],"name":"","fetched":true,"process_guid":""}],"node_type":"","data":{"process_guid":"","path":""}}}`},
		{title: "alert process child", method: "POST", path: "/alerts/process/child", message: "Successfully get the data", send: map[string]any{"process_guid": "P-3", "action": "PROC_TERMINATE", "node_id": 2},
			shape: `{"data":{"child_data":[` + childShape + `],"last_time":""}}`},

		{title: "schema", method: "GET", path: "/schema", message: "Successfully fetched the schema", shape: `{"data":{"account_policy_data":"","acpi_tables":""}}`},
		{title: "schema of a table", method: "GET", path: "/schema/account_policy_data", message: "Successfully fetched the table schema", shape: `{"data":{"account_policy_data":""}}`},

		{title: "rule add", method: "POST", path: "/rules/add", send: rule, message: "Rule is added successfully", shape: `{"rule_id":2}`},
		{title: "rules", method: "POST", path: "/rules", send: map[string]any{"start": 0, "limit": 1, "searchterm": ""}, message: "Successfully fetched the rules info",
			shape: `{"data":{"count":147,"total_count":147,"results":[` + ruleShape + `]}}`},
		{title: "rule", method: "GET", path: "/rules/{rule_id}", message: "Successfully fetched the rules info", shape: `{"data":` + ruleShape + `}`},
		{title: "rule edit", method: "POST", path: "/rules/{rule_id}", send: rule, message: "Successfully modified the rules info", shape: `{"data":` + ruleShape + `}`},
		{title: "tactics", method: "POST", path: "/rules/tactics", send: map[string]any{"technique_ids": " T1005, T1004"}, message: "Tactics are fetched successfully from technique ids",
			shape: `{"data":{"tactics":[""],"description":""}}`},

		{title: "queries", method: "POST", path: "/queries", send: map[string]any{"start": 0, "limit": 1, "searchterm": "running_process"}, message: "Successfully fetched the queries info!",
			shape: `{"data":{"count":1,"total_count":1,"results":[` + strings.Replace(queryShape, `"packs":[""]`, `"packs":[]`, 1) + `]}}`},
		{title: "packed queries", method: "POST", path: "/queries/packed", send: map[string]any{"start": 0, "limit": 1, "searchterm": ""}, message: "Successfully fetched the packed queries info",
			shape: `{"data":{"count":1,"total_count":1,"results":[` + queryShape + `]}}`},
		{title: "query", method: "GET", path: "/queries/{query_id}", message: "Successfully fetched the query info for the given id", shape: `{"data":` + strings.Replace(queryShape, `"packs":[""]`, `"packs":[]`, 1) + `}`},
		{title: "query edit", method: "POST", path: "/queries/{query_id}", send: query, message: "Successfully edited the query info for the given id",
			shape: `{"data":{"id":1,"name":"","sql":"","interval":1,"platform":"","version":null,"description":"","value":null,"snapshot":true,"shard":null}}`},
		{title: "query tag add", method: "POST", path: "/queries/{query_id}/tags", send: map[string]any{"tag": "fleet"}, message: "Successfully created the tag(s) to queries", shape: `{}`},
		{title: "query tags", method: "GET", path: "/queries/{query_id}/tags", message: "Successfully fetched the tags of query", shape: `{"data":[""]}`},
		{title: "query tag remove", method: "DELETE", path: "/queries/{query_id}/tags", send: map[string]any{"tag": "fleet"}, message: "Successfully removed tags from query", shape: `{}`},
		{title: "query delete", method: "DELETE", path: "/queries/{query_id}/delete", message: "Successfully deleted the query", shape: `{}`},

		{title: "packs", method: "POST", path: "/packs", send: map[string]any{"start": 0, "limit": 1, "searchterm": ""}, message: "successfully fetched the packs info",
			shape: `{"data":{"count":1,"total_count":1,"results":[` + packShape + `]}}`},
		{title: "pack", method: "GET", path: "/packs/{pack_id}", message: "successfully fetched the packs info", shape: `{"data":` + packShape + `}`},
		{title: "pack tag add", method: "POST", path: "/packs/{pack_id}/tags", send: map[string]any{"tag": "fleet"}, message: "Successfully created the tag(s) to packs", shape: `{}`},
		{title: "pack tags", method: "GET", path: "/packs/process_query_pack/tags", message: "Successfully fetched the tags of pack", shape: `{"data":[""]}`},
		{title: "pack tag remove", method: "DELETE", path: "/packs/process_query_pack/tags", send: map[string]any{"tag": "fleet"}, message: "Successfully removed tags from pack", shape: `{}`},
		{title: "pack delete", method: "DELETE", path: "/packs/process_query_pack/delete", message: "Successfully deleted the pack", shape: `{}`},
		{title: "pack upload", method: "POST", path: "/packs/upload", file: &upload{"uploaded.conf", `{"queries":{"up":{"query":"select * from uptime","interval":"60"}}}`},
			send: map[string]any{"category": "General"}, message: "pack uploaded successfully", shape: `{"pack_id":2}`},

		{title: "configs", method: "GET", path: "/configs/all", message: "Successfully fetched the configs", shape: `{"data":{
			"linux":{"x86_64":{"0":{"queries":{"osquery_info":{"id":1,"query":"","interval":1,"platform":null,"version":null,"description":null,"value":null,"removed":false,"shard":null,"snapshot":false,"status":true}},"status":true,"filters":{}}}},
			"windows":{"x86_64":{"1":{"queries":{},"status":true,"filters":{}},"2":{"queries":{},"status":true,"filters":{}}},"x86":{"0":{"queries":{},"status":true,"filters":{}}}},
			"darwin":{"x86_64":{"0":{"queries":{},"status":true,"filters":{}}}}}}`},
		{title: "config", method: "POST", path: "/configs/view", send: map[string]any{"platform": "linux", "arch": "x86_64"}, message: "Config is fetched successfully for the platform given",
			shape: `{"data":{"queries":{"osquery_info":{"status":true,"interval":1}},"filters":{},"type":""}}`},
		{title: "config update", method: "POST", path: "/configs/update", message: "Config is edited successfully for the platform given", send: map[string]any{"platform": "linux", "arch": "x86_64", "type": "default",
			"queries": map[string]any{"process_events": map[string]any{"interval": 10, "status": true}, "osquery_info": map[string]any{"interval": 86400, "status": true}}, "filters": map[string]any{}},
			shape: `{"config":{"platform":"","queries":{"osquery_info":{"interval":1,"status":true}},"filters":{},"type":""}}`},
		{title: "config toggle", method: "PUT", path: "/configs/toggle", send: map[string]any{"platform": "windows", "arch": "x86_64", "type": "deep"},
			message: "Default config for the platform and arch given is changed successfully", shape: `{}`},

		{title: "live query", method: "POST", path: "/distributed/add", message: "Distributed query is sent successfully", send: map[string]any{"tags": "lab", "query": "select * from system_info;",
			"nodes": webHost + "," + deskHost, "description": "live query to get system_info"}, shape: `{"data":{"query_id":1,"onlineNodes":1}}`},

		{title: "host remove", method: "PUT", path: "/hosts/2/delete", message: "Successfully removed the host", shape: `{}`},
		{title: "host enable", method: "PUT", path: "/hosts/" + deskHost + "/enable", message: "Successfully enabled the host", shape: `{}`},
		{title: "host delete", method: "DELETE", path: "/hosts/2/delete", message: "Successfully deleted the host", shape: `{}`},
		{title: "password", method: "POST", path: "/changepw", send: map[string]any{"old_password": adminPassword, "new_password": "horse staple", "confirm_new_password": "horse staple"},
			message: "password is updated successfully", shape: `{}`},
		{title: "logout", method: "POST", path: "/logout", message: "user logged out successfully", shape: `{}`},
	}
}

// elsewhere are endpoints of the same groups that need more than one request:
// where the test that walks through them is.
var elsewhere = map[string]string{
	"POST /email/test": "TestMailSettings", // a real conversation with a mail server
}

// endpointsInTheGroups is how many endpoints the document has in the groups User, Hosts (with
// hunt and search), Tags, Carves, YARA, IOCs, Schema, Rules, Queries, Packs, Configs, Alerts, Investigate and Distributed.
const endpointsInTheGroups = 87

func TestContract(t *testing.T) {
	each(t, func(w *world) {
		session := w.seedContract()
		ids := map[string]string{"{query_id}": "", "{pack_id}": "", "{rule_id}": "", "{alert_id}": fmt.Sprint(w.alerts[0])}
		covered := map[string]bool{}
		for _, e := range examples(session) {
			covered[e.endpoint(session)] = true
			for wildcard, id := range ids {
				e.path = strings.ReplaceAll(e.path, wildcard, id)
			}
			w.walk(e, ids)
		}
		for endpoint := range elsewhere {
			covered[endpoint] = true
		}
		t.Logf("%d endpoints covered of %d in the groups", len(covered), endpointsInTheGroups)
		if len(covered) != endpointsInTheGroups {
			t.Errorf("%d endpoints are covered of %d", len(covered), endpointsInTheGroups)
		}
	})
}

// endpoint is what the document lists: a verb and a path without values.
func (e example) endpoint(session string) string {
	path := strings.NewReplacer(webHost, "{host}", deskHost, "{host}", session, "{session_id}", "process_query_pack/", "{pack_id}/", "account_policy_data", "{table}").Replace(e.path)
	if rest, found := strings.CutPrefix(path, "/hosts/"); found && len(rest) > 1 && rest[1] == '/' {
		path = "/hosts/{host}" + rest[1:]
	}
	return e.method + " " + path
}

// walk asks as the document shows, and compares what comes with what it shows.
func (w *world) walk(e example, ids map[string]string) {
	w.t.Helper()
	response := w.ask(e)
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	w.ok(err)
	w.described(response, body)
	if response.StatusCode != http.StatusOK {
		w.t.Errorf("%s: %d %s", e.title, response.StatusCode, body)
		return
	}
	if e.text != "" {
		if !bytes.HasPrefix(body, []byte(e.text)) {
			w.t.Errorf("%s: the file does not begin with %q: %.200s", e.title, e.text, body)
		}
		return
	}
	var got, want map[string]any
	w.ok(json.Unmarshal(body, &got))
	w.ok(json.Unmarshal([]byte(e.shape), &want))
	if e.message != "" && (got["message"] != e.message || got["status"] != "success") {
		w.t.Errorf("%s: %v says %q, not %q", e.title, got["status"], got["message"], e.message)
	}
	for _, difference := range differences("", want, got) {
		w.t.Errorf("%s: %s", e.title, difference)
	}
	for wildcard := range ids {
		if id, found := got[strings.Trim(wildcard, "{}")].(float64); found && ids[wildcard] == "" {
			ids[wildcard] = fmt.Sprint(int64(id))
		}
	}
	if token, found := got["token"].(string); found {
		w.scrub = append(w.scrub, token, "TOKEN")
	}
	if e.title != "schema" && e.title != "configs" && e.title != "config of a host" { // what ships changes over time
		w.golden("document/"+strings.ReplaceAll(e.title, " ", "_"), response.StatusCode, body)
	}
}

func (w *world) ask(e example) *http.Response {
	w.t.Helper()
	if e.file == nil {
		var body any
		if e.send != nil {
			body = e.send
		}
		return w.send(e.method, e.path, body, w.token)
	}
	var form bytes.Buffer
	writer := multipart.NewWriter(&form)
	part, err := writer.CreateFormFile("file", e.file.name)
	w.ok(err)
	_, err = part.Write([]byte(e.file.content))
	w.ok(err)
	for name, value := range e.send {
		w.ok(writer.WriteField(name, fmt.Sprint(value)))
	}
	w.ok(writer.Close())
	request, err := http.NewRequestWithContext(w.t.Context(), e.method, w.url(e.path), &form)
	w.ok(err)
	request.Header.Set("Content-Type", writer.FormDataContentType())
	request.Header.Set("x-access-token", w.token)
	response, err := w.server.Client().Do(request)
	w.ok(err)
	return response
}

// differences lists keys that are missing and values of another kind. A list with
// an element wants one; null wants anything.
func differences(at string, want, got any) []string {
	switch want := want.(type) {
	case nil:
		return nil
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is no object: %v", at, got)}
		}
		var all []string
		for key, inner := range want {
			value, there := object[key]
			if !there {
				all = append(all, at+"."+key+" is missing")
				continue
			}
			all = append(all, differences(at+"."+key, inner, value)...)
		}
		return all
	case []any:
		list, ok := got.([]any)
		switch {
		case !ok:
			return []string{fmt.Sprintf("%s is no list: %v", at, got)}
		case len(want) > 0 && len(list) == 0:
			return []string{at + " is empty"}
		case len(want) > 0:
			return differences(at+"[0]", want[0], list[0])
		}
		return nil
	}
	if fmt.Sprintf("%T", want) != fmt.Sprintf("%T", got) {
		return []string{fmt.Sprintf("%s is %T, not %T", at, got, want)}
	}
	return nil
}

func TestDifferencesAreSeen(t *testing.T) {
	for sentence, c := range map[string]struct{ want, got, difference string }{
		"the same":                {`{"a":[{"b":1}]}`, `{"a":[{"b":2,"c":3}],"d":4}`, ""},
		"a key is missing":        {`{"a":{"b":1}}`, `{"a":{}}`, ".a.b is missing"},
		"another kind":            {`{"a":1}`, `{"a":"1"}`, ".a is string, not float64"},
		"a list without elements": {`{"a":[""]}`, `{"a":[]}`, ".a is empty"},
		"null where a text is":    {`{"a":""}`, `{"a":null}`, ".a is <nil>, not string"},
		"anything":                {`{"a":null}`, `{"a":{}}`, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			var want, got any
			if json.Unmarshal([]byte(c.want), &want) != nil || json.Unmarshal([]byte(c.got), &got) != nil {
				t.Fatal("no JSON")
			}
			if found := strings.Join(differences("", want, got), "\n"); found != c.difference {
				t.Errorf("%q", found)
			}
		})
	}
}

// seedContract adds what the examples ask for: rows, a status message and a carve,
// whose session it returns.
func (w *world) seedContract() string {
	w.t.Helper()
	ctx := w.t.Context()
	entry := func(name, columns string) results.Entry {
		return results.Entry{HostID: 2, Name: name, Action: "added", Columns: []byte(columns), UnixTime: 1772366400}
	}
	line := func(n byte, entries ...results.Entry) results.Line {
		return results.Line{Key: results.Key{n}, Entries: entries}
	}
	_, err := w.deps.Results.Append(ctx, []results.Line{
		line(1, entry("certificates", `{"path":"LocalMachine\\Root","issuer":"A","common_name":"B","self_signed":"1","not_valid_after":"1530479437"}`),
			entry("certificates", `{"path":"LocalMachine\\My","issuer":"A","common_name":"C","self_signed":"0","not_valid_after":"1620506455"}`)),
		line(2, entry("win_file_events", `{"md5":"`+aHash+`","target_path":"C:\\Users\\a\\b.exe"}`)),
		line(3, entry("per_query_perf", `{"name":"EC2AMAZ-2RJ1BIF","interval":"30"}`)),
		{Key: results.Key{4}, Status: &results.Status{HostID: 2, Severity: 1, Filename: "virtual_table.cpp", Line: 922, Message: "a message", Version: "5.23.1", UnixTime: 1772366400}},
	})
	w.ok(err)
	content := []byte("a carved file")
	session, err := w.deps.Carves.Start(ctx, 1, carves.Start{GUID: "3ecdb82c-5d6f-4c0f-b532-bdcb2588894d", RequestID: "r1", Size: int64(len(content)), BlockSize: 300000, BlockCount: 1})
	w.ok(err)
	w.ok(w.deps.Carves.Block(ctx, carves.Block{SessionID: session, RequestID: "r1", Data: content, HostID: 1}))
	w.scrub = append(w.scrub, session, "SESSION-1")
	w.investigated()
	return session
}
