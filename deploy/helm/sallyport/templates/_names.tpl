{{- define "sallyport.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "sallyport.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "sallyport.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "sallyport.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.selector" -}}
app.kubernetes.io/name: {{ include "sallyport.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sallyport.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "sallyport.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sallyport.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "sallyport.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "sallyport.configMapName" -}}
{{- default (include "sallyport.fullname" .) .Values.existingConfigMap -}}
{{- end -}}

{{/* Every Secret with certificates: those of tls.existingSecrets, and cert-manager's. A JSON list. */}}
{{- define "sallyport.tlsSecrets" -}}
{{- $secrets := .Values.tls.existingSecrets -}}
{{- if .Values.tls.certManager.enabled -}}
{{- $secrets = append $secrets .Values.tls.certManager.secretName -}}
{{- end -}}
{{- $secrets | uniq | toJson -}}
{{- end -}}

{{/* The configuration that runs: the user's, and of `sallyport:` what the chart decides. */}}
{{- define "sallyport.configuration" -}}
{{- $own := dict
      "admin" (dict "address" "0.0.0.0" "port" (int .Values.admin.port))
      "drain" (dict "delaySec" (int .Values.drain.delaySec) "timeoutSec" (int .Values.drain.timeoutSec)) -}}
{{- if .Values.sessionTickets.existingSecret -}}
{{- $_ := set $own "sessionTickets" (dict "masterKeyFile" "/etc/sallyport/tickets/ticket.keys") -}}
{{- end -}}
{{- if .Values.admin.existingSecret -}}
{{- $_ := set $own.admin "tokenFile" "/etc/sallyport/admin/token" -}}
{{- end -}}
{{- $config := deepCopy .Values.config -}}
{{- $_ := set $config "sallyport" (mustMergeOverwrite (default (dict) $config.sallyport | deepCopy) $own) -}}
{{- toYaml $config -}}
{{- end -}}
