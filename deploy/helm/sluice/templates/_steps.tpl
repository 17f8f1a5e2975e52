{{/* The settings of a step: a migration has those of its service, topics only Kafka, roles only PostgreSQL. */}}
{{- define "sluice.stepSettings" -}}
{{- if eq .step.name "provision" -}}
SLUICE_PROVISION_ADMIN_DSN_FILE: /secrets/admin/dsn
SLUICE_PROVISION_JOB_API_PASSWORD_FILE: /secrets/passwords/job-api
SLUICE_PROVISION_SCHEDULER_PASSWORD_FILE: /secrets/passwords/scheduler
SLUICE_PROVISION_EXPORTER_PASSWORD_FILE: /secrets/passwords/exporter
SLUICE_PROVISION_HISTORY_PASSWORD_FILE: /secrets/passwords/history
{{- else if eq .step.name "topics" -}}
{{- range $name, $value := include "sluice.settings" (dict "root" .root "process" (index (include "sluice.processes" .root | fromYaml) "scheduler")) | fromYaml }}
{{- if not (hasPrefix "SLUICE_SCHEDULER_" $name) }}
{{ $name }}: {{ $value | quote }}
{{- end }}
{{- end }}
{{- else -}}
{{ include "sluice.settings" (dict "root" .root "process" .step.process) }}
{{- end }}
{{- end }}

{{- define "sluice.stepMounts" -}}
{{- if eq .step.name "provision" -}}
- {name: tmp, mountPath: /tmp}
- {name: admin, mountPath: /secrets/admin, readOnly: true}
- {name: passwords, mountPath: /secrets/passwords, readOnly: true}
{{- if .root.Values.postgres.tlsSecret }}
- {name: postgres-tls, mountPath: /tls/postgres, readOnly: true}
{{- end }}
{{- else if eq .step.name "topics" -}}
- {name: tmp, mountPath: /tmp}
{{- if .root.Values.kafka.secret.name }}
- {name: kafka, mountPath: /secrets/kafka, readOnly: true}
{{- end }}
{{- else -}}
{{ include "sluice.mounts" (dict "root" .root "process" .step.process) }}
{{- end }}
{{- end }}

{{- define "sluice.stepVolumes" -}}
{{- if eq .step.name "provision" -}}
{{- $provision := .root.Values.provision -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
- name: admin
  secret: {secretName: {{ $provision.admin.secret }}, defaultMode: 0440, items: [{key: {{ $provision.admin.key }}, path: dsn}]}
- name: passwords
  secret:
    secretName: {{ $provision.passwords.secret }}
    defaultMode: 0440
    items:
      - {key: {{ $provision.passwords.jobApiKey }}, path: job-api}
      - {key: {{ $provision.passwords.schedulerKey }}, path: scheduler}
      - {key: {{ $provision.passwords.exporterKey }}, path: exporter}
      - {key: {{ $provision.passwords.historyKey }}, path: history}
{{- with .root.Values.postgres.tlsSecret }}
- name: postgres-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- else if eq .step.name "topics" -}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .root.Values.kafka.secret.name }}
- name: kafka
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- else -}}
{{ include "sluice.volumes" (dict "root" .root "process" .step.process) }}
{{- end }}
{{- end }}
