{{- define "safetyamp.selector" -}}
app.kubernetes.io/part-of: safetyamp-pipelines
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "safetyamp.labels" -}}
{{ include "safetyamp.selector" . }}
app.kubernetes.io/name: safetyamp-pipelines
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "safetyamp.podLabels" -}}
{{ include "safetyamp.labels" . }}
{{- if .root.Values.workloadIdentity.enabled }}
azure.workload.identity/use: "true"
{{- end }}
{{- end }}

{{- define "safetyamp.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag }}
{{- end }}

{{/* What every pod of ours is: no root, no token, the profile of the runtime. */}}
{{- define "safetyamp.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "safetyamp.container" -}}
image: {{ include "safetyamp.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The settings that are not secrets, as a map. */}}
{{- define "safetyamp.settings" -}}
{{- $own := dict -}}
{{- if .Values.syncYaml }}{{ $_ := set $own "SYNC_CONFIG" "/etc/safetyamp/sync.yaml" }}{{ end -}}
{{- if .Values.jira.instances }}{{ $_ := set $own "JIRA_CONFIG_FILE" "/etc/safetyamp/jira.json" }}{{ end -}}
{{- if .Values.jira.mapping }}{{ $_ := set $own "JIRA_MAPPING" "/etc/safetyamp/jira-mapping.yaml" }}{{ end -}}
{{- if eq .Values.snapshots.kind "blob" }}{{ $_ := set $own "SNAPSHOT_URL" .Values.snapshots.url }}{{ end -}}
{{- merge (dict) .Values.settings $own | toYaml -}}
{{- end }}

{{/* Whether there is a Secret: with source none there is one only for what Dagster needs. */}}
{{- define "safetyamp.hasSecret" -}}
{{- if or .Values.dagster.enabled (ne .Values.secrets.source "none") }}yes{{ end -}}
{{- end }}

{{- define "safetyamp.envFrom" -}}
- configMapRef: {name: {{ .Values.name }}-settings}
{{- if include "safetyamp.hasSecret" . }}
- secretRef: {name: {{ .Values.secrets.name }}}
{{- end }}
{{- end }}

{{- define "safetyamp.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: data, mountPath: /var/lib/safetyamp}
- {name: rules, mountPath: /etc/safetyamp, readOnly: true}
{{- if eq .Values.secrets.source "csi" }}
- {name: vault, mountPath: /mnt/vault, readOnly: true}
{{- end }}
{{- end }}

{{- define "safetyamp.volumes" -}}
- {name: tmp, emptyDir: {}}
- name: data
  {{- if eq .Values.snapshots.kind "pvc" }}
  persistentVolumeClaim: {claimName: {{ .Values.name }}-snapshots}
  {{- else }}
  emptyDir: {}
  {{- end }}
- {name: rules, configMap: {name: {{ .Values.name }}-rules}}
{{- if eq .Values.secrets.source "csi" }}
- name: vault
  csi:
    driver: secrets-store.csi.k8s.io
    readOnly: true
    volumeAttributes: {secretProviderClass: {{ .Values.name }}-vault}
{{- end }}
{{- end }}

{{- define "safetyamp.deskIsPublic" -}}
{{- with .Values.desk }}{{ if and .userHeader .trustedProxies (or .readers .approvers) }}yes{{ end }}{{ end -}}
{{- end }}
